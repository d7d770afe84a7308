"""LoRA gradients of a real model in PyTorch + PEFT: float32 and bfloat16, on real text and on random ids.

usage: llm-gradients.py GGUF OUT TEXT_FILE TOKENS. Writes OUT/adapter (PEFT, random A and B), OUT/{text,random}.json (ids, loss) and
OUT/{text,random}.safetensors (float32 gradients); prints one JSON line with the errors of bfloat16 against float32 by matrix.
"""
import json, os, sys

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

gguf, out, text_file, tokens = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
folder, name = gguf.rsplit("/", 1)
torch.set_num_threads(2)
g = torch.Generator().manual_seed(3)
model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=32, target_modules=targets))
for key, p in model.named_parameters():
    if "lora_B" in key:
        with torch.no_grad():
            p.copy_(torch.randn(p.shape, generator=g) * 0.01)
os.makedirs(out, exist_ok=True)
model.save_pretrained(out + "/adapter")
text = tokenizer(open(text_file).read(), return_tensors="pt").input_ids[:, :tokens]
random = torch.randint(5, model.config.vocab_size, (1, tokens), generator=g)


def gradients(ids):
    model.zero_grad()
    loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    return loss.item(), {k.replace(".default", ""): p.grad.float().clone() for k, p in model.named_parameters() if p.requires_grad}


exact = {}
for kind, ids in (("text", text), ("random", random)):
    loss, exact[kind] = gradients(ids)
    save_file(exact[kind], f"{out}/{kind}.safetensors")
    json.dump({"ids": ids[0].tolist(), "loss": loss}, open(f"{out}/{kind}.json", "w"))
model.to(torch.bfloat16)
said = {}
for kind, ids in (("text", text), ("random", random)):
    _, rough = gradients(ids)
    errors = sorted(((rough[k] - v).norm() / v.norm()).item() for k, v in exact[kind].items())
    whole = (sum(((rough[k] - v) ** 2).sum() for k, v in exact[kind].items()) / sum((v**2).sum() for v in exact[kind].values())).sqrt()
    said[kind] = {"median": errors[len(errors) // 2], "worst": errors[-1], "whole": whole.item()}
print(json.dumps({"torch": torch.__version__, "bfloat16": said}))
