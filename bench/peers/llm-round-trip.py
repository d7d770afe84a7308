"""The other side of bench/llm/round-trip.ts: PEFT and transformers. usage: llm-round-trip.py make|check FOLDER TINY_MODELS

make   models that PEFT merged; and adapters that PEFT put on NF4 models of bitsandbytes and on a multimodal model. With ids and logits
check  loads what cases.json lists (models and adapters written by ClinFuse) and prints the largest difference of its logits from those given
"""
import json, os, sys

import bitsandbytes
import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (AutoModelForCausalLM, AutoModelForSequenceClassification, BitsAndBytesConfig, Gemma3Config,
                          Gemma3ForConditionalGeneration, LlamaConfig, LlamaForCausalLM)

torch.set_num_threads(1)


def logits_of(model, ids, lengths):
    ids = torch.tensor(ids)
    mask = (torch.arange(ids.shape[1])[None] < torch.tensor(lengths)[:, None]).long()
    model.eval()
    # In evaluation bitsandbytes repacks 4-bit weights for a bfloat16 kernel on CPUs that have one; in training it computes as asked.
    for module in model.modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            module.training = True
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=mask).logits.float().numpy()


def disturbed(model):
    """As after training."""
    with torch.no_grad():
        for key, value in model.named_parameters():
            if "lora_B" in key:
                value.copy_(torch.randn(value.shape) * 0.1)
            elif "magnitude" in key:
                value.mul_(1 + 0.1 * torch.randn(value.shape))
    return model


def load(path, labels):
    if labels is None:
        return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    return AutoModelForSequenceClassification.from_pretrained(path, num_labels=labels, dtype=torch.float32)


def make(folder, tiny):
    made = []

    def keep(name, model, adapter, logits, ids, lengths):
        logits.astype(np.float32).tofile(f"{folder}/{name}.f32")
        made.append({"name": name, "model": model, "adapter": adapter, "ids": ids, "lengths": lengths, "logits": f"{folder}/{name}.f32"})

    for name in sorted(os.listdir(tiny)):
        if not os.path.isdir(f"{tiny}/{name}"):
            continue
        oracle = json.load(open(f"{tiny}/{name}/oracle.json"))
        config = json.load(open(f"{tiny}/{name}/config.json"))
        labels = len(config.get("id2label", {0: "", 1: ""})) if name.endswith("class") else None
        model = PeftModel.from_pretrained(load(f"{tiny}/{name}", labels), f"{tiny}/{name}/adapter").merge_and_unload()
        model.save_pretrained(f"{folder}/{name}-merged")
        keep(f"{name}-merged", f"{folder}/{name}-merged", None, logits_of(model, oracle["ids"], oracle["lengths"]), oracle["ids"],
             oracle["lengths"])

    # bitsandbytes wants sizes that are multiples of 64.
    torch.manual_seed(3)
    config = LlamaConfig(vocab_size=96, hidden_size=64, intermediate_size=192, num_hidden_layers=2, num_attention_heads=4,
                         num_key_value_heads=2, tie_word_embeddings=False)
    LlamaForCausalLM(config).save_pretrained(f"{folder}/full")
    ids = torch.randint(1, 96, (2, 17)).tolist()
    for name, double, dora in [("nf4", False, False), ("nf4-double", True, False), ("nf4-dora", False, True)]:
        quantised = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32,
                                       bnb_4bit_use_double_quant=double)
        base = AutoModelForCausalLM.from_pretrained(f"{folder}/full", quantization_config=quantised, dtype=torch.float32, device_map="cpu")
        base.save_pretrained(f"{folder}/{name}")
        model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear", use_dora=dora))
        disturbed(model).save_pretrained(f"{folder}/{name}-adapter")
        keep(name, f"{folder}/{name}", f"{folder}/{name}-adapter", logits_of(model, ids, [17, 17]), ids, [17, 17])

    text = dict(vocab_size=96, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                head_dim=8, sliding_window=5, query_pre_attn_scalar=8, layer_types=["sliding_attention", "full_attention"])
    vision = dict(hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4)
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4, image_token_index=95)
    base = Gemma3ForConditionalGeneration(config)
    base.save_pretrained(f"{folder}/multimodal")
    model = disturbed(get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear")))
    model.save_pretrained(f"{folder}/multimodal-adapter")
    ids = torch.randint(3, 94, (2, 17)).tolist()
    keep("multimodal", f"{folder}/multimodal", f"{folder}/multimodal-adapter", logits_of(model, ids, [17, 17]), ids, [17, 17])
    print(json.dumps(made))


def check(folder, _):
    found = []
    for case in json.load(open(f"{folder}/cases.json")):
        model = load(case["model"], case["labels"])
        if case["adapter"]:
            model = PeftModel.from_pretrained(model, case["adapter"])
        theirs = logits_of(model, case["ids"], case["lengths"])
        ours = np.fromfile(case["logits"], np.float32).reshape(theirs.shape)
        # What stands after a text's end is anyone's.
        rows = [slice(None)] if theirs.ndim == 2 else [(i, slice(0, n)) for i, n in enumerate(case["lengths"])]
        found.append({"name": case["name"], "difference": max(float(np.abs(theirs[r] - ours[r]).max()) for r in rows),
                      "largest": float(np.abs(theirs).max())})
    print(json.dumps(found))


{"make": make, "check": check}[sys.argv[1]](sys.argv[2], sys.argv[3])
