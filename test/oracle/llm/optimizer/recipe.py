"""Makes torch.json: what torch's AdamW and clip_grad_norm_ do in 50 steps on gradients both sides can compute, and transformers' schedules.

    pip install torch==2.15.0 transformers==5.23.0
    python test/oracle/llm/optimizer/recipe.py > test/oracle/llm/optimizer/torch.json
"""
import json

import torch
import transformers
from transformers import get_constant_schedule_with_warmup, get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

torch.set_num_threads(1)
SIZES = {"layers.0.q_proj.lora_A.weight": 96, "layers.0.q_proj.lora_B.weight": 40, "layers.0.input_layernorm.weight": 12, "score.bias": 3}
STEPS, WARMUP, RATE, DECAY, MAX_NORM = 50, 5, 0.02, 0.1, 1.0


def numbers(count, step, tensor):
    """Whole numbers only until the last division: the same f32 values everywhere. Every fifth step is small, the others get clipped."""
    scale = 0.02 if step % 5 == 4 else 1.0
    whole = [((i + 1) * 7919 + step * 104729 + tensor * 1299709 + (i * i % 97) * step * 31) % 2003 - 1001 for i in range(count)]
    return torch.tensor([n / 1001 * scale for n in whole], dtype=torch.float32)


parameters = {name: torch.nn.Parameter(numbers(size, 1000, t)) for t, (name, size) in enumerate(SIZES.items())}
decayed = [p for name, p in parameters.items() if "lora" in name]
plain = [p for name, p in parameters.items() if "lora" not in name]
optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": DECAY}, {"params": plain, "weight_decay": 0.0}], lr=RATE)
schedule = get_linear_schedule_with_warmup(optimizer, WARMUP, STEPS)
norms, snapshots = [], {}
for step in range(STEPS):
    for t, (name, p) in enumerate(parameters.items()):
        p.grad = numbers(SIZES[name], step, t)
    norms.append(torch.nn.utils.clip_grad_norm_(parameters.values(), MAX_NORM).item())
    optimizer.step()
    schedule.step()
    if step + 1 in (1, 2, 10, 50):
        snapshots[step + 1] = {name: p.tolist() for name, p in parameters.items()}


def rates(make, *arguments, steps):
    own = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    lr, out = make(own, *arguments), []
    for _ in range(steps):
        out.append(own.param_groups[0]["lr"])
        own.step()
        lr.step()
    return out


schedules = [
    {"kind": kind, "warmupSteps": w, "totalSteps": n, "rates": rates(make, *((w,) if kind == "constant" else (w, n)), steps=n)}
    for kind, make in [("linear", get_linear_schedule_with_warmup), ("cosine", get_cosine_schedule_with_warmup), ("constant", get_constant_schedule_with_warmup)]
    for w, n in [(0, 1), (0, 7), (3, 20), (5, 5), (1, 2)]
]
rounded = {step: {name: [float(f"{x:.9g}") for x in values] for name, values in one.items()} for step, one in snapshots.items()}
print(json.dumps({
    "torch": torch.__version__.split("+")[0], "transformers": transformers.__version__, "sizes": SIZES,
    "settings": {"steps": STEPS, "warmup": WARMUP, "learningRate": RATE, "weightDecay": DECAY, "maxNorm": MAX_NORM},
    "norms": norms, "snapshots": rounded, "schedules": schedules,
}))
