"""Makes the tiny models and everything the tests compare with: run `python recipe.py` in this folder.

Each folder holds a random model saved by transformers, a PEFT adapter on it, and oracle.json: ids, logits, and for the adapter the
loss, and the losses of a short training run. Gradients stand in gradients.safetensors. torch 2.15, transformers 5.23, peft 0.21.2.
"""
import json, os, shutil

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import (Gemma3ForCausalLM, Gemma3TextConfig, Gemma3TextForSequenceClassification, LlamaConfig, LlamaForCausalLM,
                          LlamaForSequenceClassification)

torch.set_num_threads(1)
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
small = dict(vocab_size=64, hidden_size=16, intermediate_size=32, num_attention_heads=4, num_key_value_heads=2, pad_token_id=0)
llama3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 16}
gemma = dict(small, num_hidden_layers=7, head_dim=8, sliding_window=5, query_pre_attn_scalar=8, max_position_embeddings=64)
models = {
    "llama": (LlamaForCausalLM, LlamaConfig(**small, num_hidden_layers=6, tie_word_embeddings=False)),
    "llama31": (LlamaForCausalLM, LlamaConfig(**small, num_hidden_layers=6, rope_parameters=llama3, max_position_embeddings=128,
                                              tie_word_embeddings=True)),
    "gemma3": (Gemma3ForCausalLM, Gemma3TextConfig(**gemma)),
    "llama-class": (LlamaForSequenceClassification, LlamaConfig(**small, num_hidden_layers=2, num_labels=3)),
    "gemma3-class": (Gemma3TextForSequenceClassification, Gemma3TextConfig(**gemma, num_labels=2)),
}
lora = {  # what each adapter exercises
    "llama": dict(r=4, lora_alpha=8),
    "llama31": dict(r=3, lora_alpha=6, use_rslora=True),
    "gemma3": dict(r=4, lora_alpha=8, use_dora=True),
    "llama-class": dict(r=4, lora_alpha=8),
    "gemma3-class": dict(r=4, lora_alpha=8),
}


def randomise(model, generator):
    for name, p in model.named_parameters():
        with torch.no_grad():
            if "lora_" in name and "magnitude" not in name:
                p.copy_(torch.randn(p.shape, generator=generator) * 0.1)
            elif "norm" in name:
                p.copy_(torch.randn(p.shape, generator=generator) * 0.2 + (0 if "gemma" in str(type(model)).lower() else 1))
            elif "lora_" not in name:
                p.copy_(torch.randn(p.shape, generator=generator) * (0.5 if "embed" in name else 0.15))


for name, (cls, config) in models.items():
    shutil.rmtree(name, ignore_errors=True)
    os.makedirs(name)
    g = torch.Generator().manual_seed(7)
    config._attn_implementation = "eager"
    base = cls(config).float().eval()
    randomise(base, g)
    base.save_pretrained(name)
    is_class = name.endswith("class")
    ids = torch.randint(1, 64, (2, 19), generator=g)
    lengths = [19, 12]
    ids[1, 12:] = 0
    mask = (torch.arange(19)[None] < torch.tensor(lengths)[:, None]).long()
    with torch.no_grad():
        logits = base(input_ids=ids, attention_mask=mask).logits
    oracle = {"ids": ids.tolist(), "lengths": lengths, "logits": logits.tolist() if is_class else logits[0].tolist()}

    model = get_peft_model(base, LoraConfig(task_type="SEQ_CLS" if is_class else "CAUSAL_LM", target_modules=ALL, lora_dropout=0.0, **lora[name]))
    randomise(model, g)  # also fills B, so that every gradient flows
    # The base must stay what was saved.
    saved = cls.from_pretrained(name, attn_implementation="eager").state_dict()
    with torch.no_grad():
        for key, value in model.get_base_model().state_dict().items():
            plain = key.replace(".base_layer", "")
            if plain in saved and "modules_to_save" not in key:
                value.copy_(saved[plain])
        for key, module in model.named_modules():
            if hasattr(module, "lora_magnitude_vector") and len(module.lora_magnitude_vector):
                module.lora_magnitude_vector["default"].weight.copy_(
                    torch.linalg.norm(module.base_layer.weight, dim=1) * (1 + 0.1 * torch.randn(module.base_layer.weight.shape[0], generator=g)))
    model.save_pretrained(name + "/adapter")
    labels = torch.tensor([1, 0]) if is_class else torch.where(mask.bool(), ids, -100)
    model.train()
    out = model(input_ids=ids, attention_mask=mask, labels=labels)
    out.loss.backward()
    oracle["adapter"] = {"loss": out.loss.item(), "logits": out.logits.tolist() if is_class else out.logits[0].tolist()}
    gradients = {k.replace(".default", "").replace(".modules_to_save", ""): p.grad.clone() for k, p in model.named_parameters()
                 if p.requires_grad and p.grad is not None}
    save_file(gradients, name + "/gradients.safetensors")

    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=3e-3, weight_decay=0.01)
    losses = []
    data = torch.Generator().manual_seed(11)
    batches = [torch.randint(1, 64, (2, 12), generator=data) for _ in range(10)]
    classes = [torch.randint(0, config.num_labels, (2,), generator=data) if is_class else None for _ in range(10)]
    for step in range(50):
        b, c = batches[step % 10], classes[step % 10]
        loss = model(input_ids=b, attention_mask=torch.ones_like(b), labels=c if is_class else b).loss
        optimizer.zero_grad(); loss.backward(); optimizer.step()
        losses.append(loss.item())
    oracle["training"] = {"learningRate": 3e-3, "weightDecay": 0.01, "batches": [b.tolist() for b in batches],
                          "labels": [c.tolist() for c in classes] if is_class else None, "losses": losses}
    rounded = lambda v: [rounded(x) for x in v] if isinstance(v, list) else ({k: rounded(x) for k, x in v.items()} if isinstance(v, dict) else
                                                                              float(f"{v:.8g}") if isinstance(v, float) else v)
    json.dump(rounded(oracle), open(name + "/oracle.json", "w"))
    os.path.exists(name + "/adapter/README.md") and os.remove(name + "/adapter/README.md")
