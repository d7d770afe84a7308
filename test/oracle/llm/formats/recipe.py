# Makes the oracles of the model formats: python recipe.py (run in this folder; torch, transformers, bitsandbytes, gguf, safetensors).
# Small random models, saved by the programs whose formats we read; what they read back is kept as the start of a sha256 of its float32 values.
import hashlib
import json
import os
import shutil

import bitsandbytes.functional as bnb
import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as T
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM, BitsAndBytesConfig, Gemma3Config, Gemma3ForCausalLM,
    Gemma3ForSequenceClassification, Gemma3TextConfig, LlamaConfig, LlamaForCausalLM,
)

torch.set_num_threads(1)
torch.manual_seed(5)
rng = np.random.default_rng(5)


def sha(values):  # adding zero makes -0 and 0 one
    return hashlib.sha256((np.asarray(values, dtype=np.float32) + np.float32(0)).tobytes()).hexdigest()[:16]


def hashes(state, skip=("vision", "projector")):
    return {k: sha(v.float().numpy()) for k, v in sorted(state.items()) if not any(s in k for s in skip)}


def write_json(name, value):
    with open(name, "w") as file:
        json.dump(value, file, indent=1)


# --- nf4: bytes and absmax of quantize_4bit, with the awkward inputs
code = bnb.get_4bit_type("nf4", device="cpu")
bounds = (code[:-1] + code[1:]) / 2
ties = torch.cat([torch.tensor([1.0]), bounds, torch.nextafter(bounds, torch.tensor(2.0)), torch.nextafter(bounds, torch.tensor(-2.0)), code, torch.tensor([-1.0, -0.0])])
cases = {
    "random": torch.randn(64 * 24),
    "ties": torch.cat([ties, ties * 3, ties * 0.7]),
    "zeros": torch.cat([torch.zeros(64), torch.randn(64), torch.zeros(64)]),
    "short-last-block": torch.randn(200) * 0.02,
    "odd-count": torch.randn(131),
    "short-zeros": torch.zeros(10),
    "large": torch.randn(128) * 1e38,
    "tiny": torch.cat([torch.randn(64) * 1e-38, torch.randn(64) * 1e-41, torch.randn(64) * 1e-44]),
    "bfloat16": torch.randn(128).bfloat16().float(),
    "outlier": torch.cat([torch.randn(63) * 0.01, torch.tensor([1000.0])]),
}
nf4 = {}
for name, values in cases.items():
    packed, state = bnb.quantize_4bit(values, blocksize=64, quant_type="nf4")
    nf4.update({f"{name}.values": values, f"{name}.packed": packed.reshape(-1), f"{name}.absmax": state.absmax,
                f"{name}.back": bnb.dequantize_4bit(packed, state).reshape(-1)})
save_file(nf4, "nf4.safetensors")

# --- half and bfloat16 rounding
numbers = torch.cat([torch.randn(40) * s for s in (1, 1e-4, 1e-6, 3e-8, 1e4)] + [
    torch.tensor([0.0, -0.0, 65504.0, 65519.996, 65520.0, 1e30, -1e30, float("inf"), 2**-24, 2**-25, 3 * 2**-25, 2**-14 - 2**-26, 1 + 2**-11, 1 + 3 * 2**-11, 1 + 2**-8, 1 + 3 * 2**-8])])
save_file({"values": numbers, "half": numbers.half(), "bfloat16": numbers.bfloat16()}, "half.safetensors")

# --- GGUF blocks: random bytes of every type (finite halves), as gguf-py reads them; 4 rows of 512
blocks = {}
halves = {T.Q4_0: [0], T.Q4_1: [0, 2], T.Q8_0: [0], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208]}
writer = gguf.GGUFWriter("blocks.gguf", "llama")
for type_, places in halves.items():
    size, bytes_ = gguf.GGML_QUANT_SIZES[type_]
    data = rng.integers(0, 256, (4 * 512 // size, bytes_), dtype=np.uint8)
    for place in places:
        data[:, place:place + 2] = rng.normal(0, 0.1, len(data)).astype(np.float16).view(np.uint8).reshape(-1, 2)
    data = data.reshape(4, -1)
    writer.add_tensor(type_.name, data, raw_dtype=type_)
    blocks[type_.name] = sha(gguf.dequantize(data, type_))
writer.write_header_to_file(); writer.write_kv_data_to_file(); writer.write_tensors_to_file(); writer.close()
write_json("blocks.json", blocks)

# --- folders written by transformers
shutil.rmtree("folders", ignore_errors=True)
llama = dict(vocab_size=48, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)
gemma = dict(vocab_size=48, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
             head_dim=16, sliding_window=8, query_pre_attn_scalar=16, max_position_embeddings=256)
llama31 = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
rope5 = {"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6}, "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}
vision = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=14, patch_size=7)
models = {
    "llama": LlamaForCausalLM(LlamaConfig(**llama, rope_parameters=llama31)).bfloat16(),
    "llama-tied": LlamaForCausalLM(LlamaConfig(**dict(llama, num_hidden_layers=1), tie_word_embeddings=True)).half(),
    "gemma3": Gemma3ForCausalLM(Gemma3TextConfig(**gemma, rope_parameters=rope5)).bfloat16(),
    "gemma3-images-classes": Gemma3ForSequenceClassification(Gemma3Config(text_config=dict(gemma, num_hidden_layers=1), vision_config=vision, mm_tokens_per_image=1, id2label={0: "no", 1: "maybe", 2: "yes"})).bfloat16(),
}
expected = {}
for name, model in models.items():
    for key, parameter in model.named_parameters():
        if "norm" in key:
            parameter.data += torch.randn_like(parameter) * 0.1
    model.save_pretrained(f"folders/{name}", **({"max_shard_size": "12KB"} if name == "llama" else {}))
    expected[name] = hashes(model.state_dict())

# --- bitsandbytes, with and without double quantisation (and an odd storage type)
for name, double, storage in (("nf4", False, torch.uint8), ("nf4-double", True, torch.bfloat16)):
    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=double, bnb_4bit_quant_storage=storage)
    model = AutoModelForCausalLM.from_pretrained("folders/llama-tied", quantization_config=config, device_map="cpu", dtype=torch.float32)
    model.save_pretrained(f"folders/{name}")
    expected[name] = {}
    for key, p in sorted(model.named_parameters()):
        if getattr(p, "quant_state", None) is not None:
            # Flat, since the CPU kernel of bitsandbytes 0.50.2 gives wrong values where rows are no multiple of the block; in full precision.
            p.quant_state.dtype, p.quant_state.shape = torch.float32, torch.Size([p.quant_state.shape.numel()])
            expected[name][key] = sha(bnb.dequantize_4bit(p.data, p.quant_state).numpy())
        else:
            expected[name][key] = sha(p.detach().float().numpy())
write_json("folders.json", expected)

# --- GGUF models as llama.cpp's converter writes them (q and k rows shuffled in llama, 1 added to Gemma's norms)
def shuffle(w, heads):
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)

def write_gguf(name, arch, model, rope_freqs=None):
    c = model.config
    w = gguf.GGUFWriter(f"{name}.gguf", arch)
    w.add_context_length(c.max_position_embeddings); w.add_embedding_length(c.hidden_size); w.add_block_count(c.num_hidden_layers)
    w.add_feed_forward_length(c.intermediate_size); w.add_head_count(c.num_attention_heads); w.add_head_count_kv(c.num_key_value_heads)
    w.add_layer_norm_rms_eps(c.rms_norm_eps); w.add_key_length(c.head_dim); w.add_value_length(c.head_dim); w.add_vocab_size(c.vocab_size)
    w.add_rope_dimension_count(c.head_dim)
    if arch == "gemma3":
        w.add_sliding_window(c.sliding_window); w.add_rope_freq_base(1e6)
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR); w.add_rope_scaling_factor(8.0)
    else:
        w.add_rope_freq_base(500000.0)
    w.add_tokenizer_model("gpt2"); w.add_token_list([f"token{i}" for i in range(c.vocab_size)]); w.add_token_types([1] * c.vocab_size)
    w.add_bos_token_id(1); w.add_eos_token_id(2); w.add_pad_token_id(0)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA if arch == "llama" else gguf.MODEL_ARCH.GEMMA3, c.num_hidden_layers)
    types = [T.Q8_0, T.Q4_0, T.Q4_1, T.F16, T.BF16, T.F32]
    turn = 0
    if rope_freqs is not None:
        w.add_tensor("rope_freqs.weight", rope_freqs)
    for key, value in model.state_dict().items():
        if key == "lm_head.weight" and c.tie_word_embeddings:
            continue
        value = value.float().numpy()
        if arch == "llama" and "q_proj" in key: value = shuffle(value, c.num_attention_heads)
        if arch == "llama" and "k_proj" in key: value = shuffle(value, c.num_key_value_heads)
        if arch == "gemma3" and key.endswith("norm.weight"): value = value + 1
        gname = names.get_name(key, try_suffixes=(".weight",))
        if value.ndim == 1:
            w.add_tensor(gname, value)
        else:
            type_ = types[turn % 6]; turn += 1
            w.add_tensor(gname, gguf.quantize(value, type_), raw_dtype=type_)
    w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()
    back = AutoModelForCausalLM.from_pretrained(".", gguf_file=f"{name}.gguf", dtype=torch.float32)
    return hashes(back.state_dict())

inv = 500000.0 ** -(np.arange(0, 8, 2) / 8)
factors = []
for f in inv:
    wave = 2 * np.pi / f
    if wave < 2048: factors.append(1)
    elif wave > 8192: factors.append(8)
    else:
        smooth = (8192 / wave - 1) / 3
        factors.append(1 / ((1 - smooth) / 8 + smooth))
write_json("gguf-models.json", {
    "gguf-llama": write_gguf("gguf-llama", "llama", models["llama"], np.array(factors, dtype=np.float32)),
    "gguf-gemma3": write_gguf("gguf-gemma3", "gemma3", models["gemma3"]),
})

# --- configs of both dialects, and what transformers makes of them
given = {
    "llama2": {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "num_attention_heads": 32, "torch_dtype": "float16", "rope_scaling": None},
    "llama31-version4": {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32,
                         "num_key_value_heads": 8, "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "bos_token_id": 128000, "eos_token_id": [128001, 128008, 128009],
                         "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192, "rope_type": "llama3"}},
    "llama-linear": {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "rope_scaling": {"type": "linear", "factor": 4.0}, "rope_theta": 10000.0},
    "smollm2": {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 576, "intermediate_size": 1536, "num_attention_heads": 9, "num_key_value_heads": 3, "num_hidden_layers": 30,
                "vocab_size": 49152, "tie_word_embeddings": True, "rope_theta": 100000, "rms_norm_eps": 1e-5, "max_position_embeddings": 8192, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2},
    "gemma3-1b-version4": {"model_type": "gemma3_text", "architectures": ["Gemma3ForCausalLM"], "hidden_size": 1152, "intermediate_size": 6912, "num_hidden_layers": 26, "num_attention_heads": 4,
                           "num_key_value_heads": 1, "head_dim": 256, "rope_theta": 1000000, "rope_local_base_freq": 10000, "sliding_window": 512, "sliding_window_pattern": 6, "vocab_size": 262144,
                           "max_position_embeddings": 32768, "rope_scaling": None, "eos_token_id": [1, 106]},
    "gemma3-4b-version4": {"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"], "eos_token_id": [1, 106], "text_config": {"model_type": "gemma3_text", "hidden_size": 2560,
                           "intermediate_size": 10240, "num_hidden_layers": 34, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024}, "vision_config": {"model_type": "siglip_vision_model"}},
    "gemma3-pattern": {"model_type": "gemma3_text", "num_hidden_layers": 9, "sliding_window_pattern": 3},
    "gemma3-version5": json.load(open("folders/gemma3/config.json")),
    "llama-version5": json.load(open("folders/llama/config.json")),
}
from transformers import AutoConfig
out = {}
for name, config in given.items():
    os.makedirs("tmp", exist_ok=True); write_json("tmp/config.json", config)
    read = AutoConfig.from_pretrained("tmp")
    text = getattr(read, "text_config", None) or read
    keys = ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "rms_norm_eps", "tie_word_embeddings",
            "max_position_embeddings", "rope_parameters", "layer_types", "sliding_window", "query_pre_attn_scalar", "bos_token_id", "pad_token_id"]
    wanted = {k: getattr(text, k, None) for k in keys}
    wanted["eos_token_id"] = getattr(read, "eos_token_id", None) if getattr(read, "eos_token_id", None) is not None else text.eos_token_id
    out[name] = {"given": config, "read": wanted}
shutil.rmtree("tmp")
write_json("configs.json", out)
