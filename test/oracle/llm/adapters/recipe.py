"""What PEFT makes of adapter settings: run `python recipe.py` in this folder (peft 0.21.2, transformers 5.23, torch 2.15).

targets.json: for each case the settings, the adapted modules with their rank and scale, and how many numbers are trained and there are.
multimodal/: an adapter on a Gemma 3 model with a vision part, every linear layer of both parts adapted.
dropout.json, dropout.safetensors: losses and some gradients of adapters of ../models with dropout 0.3, under the masks ClinFuse draws.
merged.safetensors: matrices of merged models, for plain and DoRA adapters of ../models, and of one cast to bfloat16 before merging.
"""
import json, os, shutil

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import (AutoModelForCausalLM, Gemma3Config, Gemma3ForConditionalGeneration, Gemma3TextConfig, LlamaConfig,
                          LlamaForCausalLM, LlamaForSequenceClassification)

torch.set_num_threads(1)
torch.manual_seed(0)
small = dict(vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
             pad_token_id=0)
base = dict(task_type="CAUSAL_LM", r=4, lora_alpha=6)
cases = {
    "a list": dict(base, target_modules=["q_proj", "v_proj"]),
    "all linear layers": dict(base, target_modules="all-linear"),
    "all linear layers of a classifier": dict(base, task_type="SEQ_CLS", target_modules="all-linear"),
    "a pattern": dict(base, target_modules=r".*\.layers\.[02]\.(self_attn\.q_proj|mlp\..*_proj)"),
    "a pattern of the whole name": dict(base, target_modules=r"model\.layers\.(?P<n>\d)\.self_attn\.o_proj"),
    "ranks and alphas of some": dict(base, target_modules=["q_proj", "up_proj", "down_proj"],
                                     rank_pattern={"up_proj": 2, "layers.1.self_attn.q_proj": 8, "proj": 3},
                                     alpha_pattern={r"model\.layers\.[01]\.mlp\.down_proj": 32}),
    "rank-stabilised": dict(base, target_modules=["gate_proj"], use_rslora=True, rank_pattern={"layers.2.*": 9}),
    "some layers": dict(base, target_modules=["k_proj", "mlp.down_proj"], layers_to_transform=[0, 2]),
    "some layers by pattern": dict(base, target_modules=["k_proj"], layers_to_transform=1, layers_pattern="layers"),
    "exceptions": dict(base, target_modules=["q_proj", "k_proj"], exclude_modules=["layers.1.self_attn.q_proj", "layers.0.self_attn.k_proj"]),
    "exceptions by pattern": dict(base, target_modules=["q_proj", "k_proj"], exclude_modules=r".*\.0\..*"),
    "dora": dict(base, target_modules=["q_proj", "down_proj"], use_dora=True),
}
result = {}
for name, settings in cases.items():
    is_class = settings["task_type"] == "SEQ_CLS"
    model = (LlamaForSequenceClassification if is_class else LlamaForCausalLM)(LlamaConfig(**small, num_labels=3, tie_word_embeddings=False))
    model = get_peft_model(model, LoraConfig(**settings))
    modules = {key.removeprefix("base_model.model."): [module.r["default"], module.scaling["default"]]
               for key, module in model.named_modules() if hasattr(module, "lora_A")}
    trainable, total = model.get_nb_trainable_parameters()
    model.save_pretrained("scratch")
    result[name] = {"config": json.load(open("scratch/adapter_config.json")), "modules": modules, "trainable": trainable, "total": total}
    shutil.rmtree("scratch")
json.dump(result, open("targets.json", "w"), indent=1)

text = dict(small, num_hidden_layers=2, head_dim=8, sliding_window=5, query_pre_attn_scalar=8, layer_types=["sliding_attention", "full_attention"])
vision = dict(hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4)
model = Gemma3ForConditionalGeneration(Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4))
model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=1, target_modules="all-linear"))
shutil.rmtree("multimodal", ignore_errors=True)
model.save_pretrained("multimodal")
os.path.exists("multimodal/README.md") and os.remove("multimodal/README.md")

merged = {}
for name, dtype in [("llama", torch.float32), ("gemma3", torch.float32), ("llama31", torch.bfloat16)]:
    base = AutoModelForCausalLM.from_pretrained(f"../models/{name}", dtype=dtype)
    model = PeftModel.from_pretrained(base, f"../models/{name}/adapter", autocast_adapter_dtype=False)
    if dtype != torch.float32:
        model = model.to(dtype)
    state = model.merge_and_unload().state_dict()
    for key in ["model.layers.1.self_attn.k_proj.weight", "model.layers.5.mlp.down_proj.weight"]:
        merged[f"{name}.{key}"] = state[key].contiguous()
save_file(merged, "merged.safetensors")

M = 0xFFFFFFFF


def hash32(text):  # src/base/random.ts
    h = 0x811C9DC5
    for c in text:
        h = ((h ^ ord(c)) * 0x01000193) & M
    h = ((h ^ (h >> 16)) * 0x85EBCA6B) & M
    h = ((h ^ (h >> 13)) * 0xC2B2AE35) & M
    return h ^ (h >> 16)


def mask_of(size, share, keys):  # src/models/dropout.ts: xoshiro128**, two places a draw
    name, rotate = "\x1f".join(map(str, keys)), lambda x, k: ((x << k) | (x >> (32 - k))) & M
    a, b, c, d = [hash32(f"{name}\x1f{part}") for part in range(4)]
    mask = []
    while len(mask) < size:
        drawn = (rotate((b * 5) & M, 7) * 9) & M
        t = (b << 9) & M
        c ^= a; d ^= b; b ^= c; a ^= d; c ^= t; d = rotate(d, 11)
        mask += [(drawn & 0xFFFF) >= round(share * 65536), (drawn >> 16) >= round(share * 65536)]
    return torch.tensor(mask[:size])


class GivenMask(torch.nn.Module):
    def __init__(self, name):
        super().__init__()
        self.name = name

    def forward(self, x):
        return x * mask_of(x.numel(), 0.3, [1, self.name]).view(x.shape) / 0.7 if self.training else x


losses, gradients = {}, {}
for name in ["llama", "gemma3"]:
    oracle = json.load(open(f"../models/{name}/oracle.json"))
    base = AutoModelForCausalLM.from_pretrained(f"../models/{name}", dtype=torch.float32, attn_implementation="eager")
    model = PeftModel.from_pretrained(base, f"../models/{name}/adapter", is_trainable=True).train()
    for key, module in model.named_modules():
        if hasattr(module, "lora_dropout"):
            module.lora_dropout["default"] = GivenMask(key.removeprefix("base_model.model."))
    ids = torch.tensor(oracle["ids"])
    mask = (torch.arange(ids.shape[1])[None] < torch.tensor(oracle["lengths"])[:, None]).long()
    loss = model(input_ids=ids, attention_mask=mask, labels=torch.where(mask.bool(), ids, -100)).loss
    loss.backward()
    losses[name] = float(f"{loss.item():.8g}")
    gradients |= {f"{name}/{k.removeprefix('base_model.model.').replace('.default', '').removesuffix('.weight')}": p.grad
                  for k, p in model.named_parameters() if p.grad is not None and ".layers.1." in k}
json.dump(losses, open("dropout.json", "w"))
save_file(gradients, "dropout.safetensors")
