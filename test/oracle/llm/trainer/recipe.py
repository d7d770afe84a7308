"""Makes torch.json: the model of test/training/small-model.ts trained by torch, two batches of unequal size to a step.

    pip install torch==2.15.0 transformers==5.23.0
    python test/oracle/llm/trainer/recipe.py > test/oracle/llm/trainer/torch.json
"""
import json

import torch
from transformers import get_cosine_schedule_with_warmup

torch.set_num_threads(1)
VOCABULARY, SIZE, CLASSES, TOKENS = 20, 4, 3, 5
EPOCHS, BATCHES, ACCUMULATION, RATE, DECAY, MAX_NORM, WARMUP = 4, 5, 2, 0.1, 0.05, 0.15, 2


def numbers(count, seed, scale):
    whole = [((i + 1) * 7919 + seed * 104729 + (i * i % 97) * 31) % 2003 - 1001 for i in range(count)]
    return torch.tensor([n * (scale / 1001) for n in whole], dtype=torch.float32)


def batch(number):
    rows = number % 4 + 1
    lengths = [(number * 3 + row * 7) % TOKENS + 1 for row in range(rows)]
    ids = [(number * 131 + i * 37 + i * i) % VOCABULARY for i in range(rows * TOKENS)]
    texts = [ids[row * TOKENS:row * TOKENS + length] for row, length in enumerate(lengths)]
    return texts, torch.tensor([ids[row * TOKENS] % CLASSES for row in range(rows)])


E = torch.nn.Parameter(numbers(VOCABULARY * SIZE, 1, 0.5).view(VOCABULARY, SIZE))
W = torch.nn.Parameter(numbers(CLASSES * SIZE, 2, 0.5).view(CLASSES, SIZE))
b = torch.nn.Parameter(numbers(CLASSES, 3, 0.5))
steps = EPOCHS * -(-BATCHES // ACCUMULATION)
optimizer = torch.optim.AdamW([{"params": [E, W], "weight_decay": DECAY}, {"params": [b], "weight_decay": 0.0}], lr=RATE)
schedule = get_cosine_schedule_with_warmup(optimizer, WARMUP, steps)
losses, norms = [], []
for epoch in range(EPOCHS):
    for first in range(0, BATCHES, ACCUMULATION):
        group = [batch(epoch * BATCHES + i) for i in range(first, min(BATCHES, first + ACCUMULATION))]
        count = sum(len(labels) for _, labels in group)
        optimizer.zero_grad()
        loss = 0.0
        for texts, labels in group:
            h = torch.tanh(torch.stack([E[torch.tensor(ids)].mean(0) for ids in texts]))
            part = torch.nn.functional.cross_entropy(h @ W.T + b, labels, reduction="sum") / count
            part.backward()
            loss += part.item()
        losses.append(loss)
        norms.append(torch.nn.utils.clip_grad_norm_([E, W, b], MAX_NORM).item())
        optimizer.step()
        schedule.step()
print(json.dumps({
    "torch": torch.__version__.split("+")[0],
    "settings": {"epochs": EPOCHS, "batches": BATCHES, "accumulation": ACCUMULATION, "learningRate": RATE, "weightDecay": DECAY, "maxGradientNorm": MAX_NORM, "warmup": WARMUP},
    "losses": losses, "norms": norms,
    "values": {name: p.detach().flatten().tolist() for name, p in {"embed.weight": E, "score.weight": W, "score.bias": b}.items()},
}))
