"""One LoRA training step in PyTorch + transformers + PEFT on this CPU, in a process of its own so that its memory is its own.

usage: lora-step.py {gemma3|llama|smollm2} DTYPE [--layers 2] [--tokens 512] [--steps 5] [--gguf FILE] [--rank 16]. gemma3 and llama are
cuts of the 4B and 8B shapes with random weights and a classification head; smollm2 is the real model, next-token prediction. Prints one
JSON line: best and median seconds a step (AdamW included), peak memory, loss.
"""
import argparse, json, re, statistics, time

import torch
from peft import LoraConfig, get_peft_model
from transformers import (AutoModelForCausalLM, Gemma3TextConfig, Gemma3TextForSequenceClassification, LlamaConfig,
                          LlamaForSequenceClassification)

ap = argparse.ArgumentParser()
ap.add_argument("arch", choices=["gemma3", "llama", "smollm2"])
ap.add_argument("dtype", choices=["float32", "bfloat16"])
ap.add_argument("--layers", type=int, default=2)
ap.add_argument("--tokens", type=int, default=512)
ap.add_argument("--steps", type=int, default=5)
ap.add_argument("--gguf")
ap.add_argument("--rank", type=int, default=16)
a = ap.parse_args()
torch.set_num_threads(2)
torch.manual_seed(1)
dtype = getattr(torch, a.dtype)
torch.set_default_dtype(dtype)
common = dict(vocab_size=32000, num_hidden_layers=a.layers, num_labels=2, pad_token_id=0)
if a.arch == "gemma3":
    model = Gemma3TextForSequenceClassification(Gemma3TextConfig(**common, hidden_size=2560, intermediate_size=10240, num_attention_heads=8,
                                                                 num_key_value_heads=4, head_dim=256, sliding_window=1024))
elif a.arch == "llama":
    model = LlamaForSequenceClassification(LlamaConfig(**common, hidden_size=4096, intermediate_size=14336, num_attention_heads=32,
                                                       num_key_value_heads=8))
else:
    folder, name = a.gguf.rsplit("/", 1)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=dtype)
is_class = a.arch != "smollm2"
model = get_peft_model(model, LoraConfig(task_type="SEQ_CLS" if is_class else "CAUSAL_LM", r=a.rank, lora_alpha=2 * a.rank, lora_dropout=0.0,
                                         target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]))
model = model.to(dtype).train()
ids = torch.randint(5, 32000, (1, a.tokens))
labels = torch.ones(1, dtype=torch.long) if is_class else ids
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
times = []
for _ in range(a.steps + 1):
    start = time.perf_counter()
    loss = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    times.append(time.perf_counter() - start)
print(json.dumps({"best_s": min(times[1:]), "median_s": statistics.median(times[1:]), "loss": float(loss), "torch": torch.__version__,
                  # Not ru_maxrss, which starts at the parent's.
                  "peak_mb": int(re.search(r"VmHWM:\s*(\d+)", open("/proc/self/status").read())[1]) / 1024}))
