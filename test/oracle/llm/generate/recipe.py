"""Makes oracle.json: run `python recipe.py` in this folder. torch 2.15, transformers 5.23.

llama/: a random model with the smallest heads that the cached attention takes (8 numbers), Llama 3.1 scaling. greedy: continuations of it
and of ../models/gemma3 by transformers' generate, of prompts of different length, each alone.
processors: what transformers' logits processors leave of fixed scores. rope: cosines and sines of a few far positions.
"""
import json

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers.generation.logits_process import (LogitsProcessorList, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper,
                                                    TopKLogitsWarper, TopPLogitsWarper)
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

torch.set_num_threads(1)
short = lambda values: [float(f"{v:.8g}") for v in values]

g = torch.Generator().manual_seed(1)
llama = LlamaForCausalLM(LlamaConfig(
    vocab_size=64, hidden_size=32, intermediate_size=32, num_attention_heads=4, num_key_value_heads=2, num_hidden_layers=2,
    max_position_embeddings=64, tie_word_embeddings=True, pad_token_id=0,
    rope_parameters={"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                     "original_max_position_embeddings": 16}))
for key, p in llama.named_parameters():
    if "norm" not in key:
        torch.nn.init.normal_(p, std=0.4, generator=g)
llama.save_pretrained("llama")

greedy = {}
for name, folder in {"llama": "llama", "gemma3": "../models/gemma3"}.items():
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").float().eval()
    model.generation_config.eos_token_id = None
    g = torch.Generator().manual_seed(3)
    prompts = [torch.randint(1, 64, (n,), generator=g).tolist() for n in (7, 1, 12, 3)]
    run = lambda p, **kw: model.generate(torch.tensor([p]), attention_mask=torch.ones(1, len(p)), max_new_tokens=16, do_sample=False,
                                         **kw)[0, len(p):].tolist()
    greedy[name] = {"prompts": prompts, "plain": [run(p) for p in prompts], "penalty": [run(p, repetition_penalty=1.3) for p in prompts]}

g = torch.Generator().manual_seed(5)
scores = torch.randn(40, generator=g) * 3
scores[7] = scores[3]  # a tie
seen = [3, 5, 5, 9, 30]
cases = []
for settings in [dict(penalty=1.3), dict(penalty=0.8, temperature=0.7), dict(topK=5), dict(topK=1), dict(topP=0.9), dict(topP=0.05),
                 dict(temperature=1.5, topP=0.6), dict(penalty=1.2, temperature=0.8, topK=10, topP=0.8), dict(topK=100, topP=0.999)]:
    make = {"penalty": RepetitionPenaltyLogitsProcessor, "temperature": TemperatureLogitsWarper, "topK": TopKLogitsWarper, "topP": TopPLogitsWarper}
    left = LogitsProcessorList([make[k](v) for k, v in settings.items()])(torch.tensor([seen]), scores[None].clone())[0]
    kept = torch.isfinite(left).nonzero()[:, 0]
    cases.append({"settings": settings, "ids": kept.tolist(), "scores": short(left[kept].tolist())})

rope = []
for dim, parameters in [(64, {"rope_type": "default", "rope_theta": 1e5}), (256, {"rope_type": "default", "rope_theta": 1e4}),
                        (256, {"rope_type": "linear", "rope_theta": 1e6, "factor": 8.0}),
                        (128, {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                               "original_max_position_embeddings": 8192})]:
    config = LlamaConfig(head_dim=dim, hidden_size=dim, num_attention_heads=1, rope_parameters=parameters, max_position_embeddings=131072)
    at = [1, 77, 1023, 4096, 8191]
    cos, sin = LlamaRotaryEmbedding(config)(torch.zeros(1), torch.tensor([at]))
    rope.append({"dim": dim, "parameters": parameters, "positions": at,
                 "cosines": [short(row[: dim // 2].tolist()) for row in cos[0]], "sines": [short(row[: dim // 2].tolist()) for row in sin[0]]})

json.dump({"greedy": greedy, "processors": {"scores": short(scores.tolist()), "seen": seen, "cases": cases}, "rope": rope}, open("oracle.json", "w"))
