"""Writes operators.json and block.json: values and gradients by PyTorch (torch 2.15, float64 on CPU).

    python recipe.py

operators.json has one entry per case of test/graph/gradient-cases.ts: `inputs`, the `output` they give, the `arriving` gradient of the
output, and the `gradients` of the inputs. Inputs are multiples of 1/64, which float32 holds exactly.
block.json is one pre-norm decoder layer (grouped heads, rotary positions, causal mask, gated SiLU) with all its weights.
"""
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
generator = torch.Generator().manual_seed(5)
folder = Path(__file__).parent


def draw(shape, low=-2.0, high=2.0):
    """Multiples of 1/64; zero is left out, so that no division meets it."""
    value = torch.randint(int(low * 64), int(high * 64) + 1, shape, generator=generator)
    return torch.where(value == 0, 1, value).to(torch.float64) / 64


def positive(shape):
    return draw(shape, 0.75, 2.5)


def written(value):
    return {"shape": list(value.shape), "values": [float(f"{x:.8g}") for x in value.detach().flatten().tolist()]}


# NF4: the code and the bytes are the test's own; only their meaning is written again here.
NF4 = [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
       -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
       0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0]


def nf4(rows, columns):
    nibbles = []
    for i in range(rows * columns // 2):
        byte = (i * 37 + 11) % 256
        nibbles += [byte >> 4, byte & 15]
    values = [NF4[n] * (0.5 + (i // 64 % 5) / 8) for i, n in enumerate(nibbles)]
    return torch.tensor(values).reshape(rows, columns)


def rope_tables(positions, dim):
    """[positions, dim / 2], base 10000."""
    angles = torch.arange(positions)[:, None] * 10000 ** (-torch.arange(0, dim, 2) / dim)[None, :]
    return angles.cos(), angles.sin()


def rotate(x, positions):
    cos, sin = (table[positions] for table in rope_tables(16, x.shape[-1]))
    cos, sin = torch.cat([cos, cos], -1), torch.cat([sin, sin], -1)
    if positions.dim() == 2:
        cos, sin = cos[:, None], sin[:, None]
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


def rms_norm(x, weight, epsilon):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + epsilon) * weight


def mask_of(lowest):
    mask = torch.zeros(4, 4)
    mask[torch.ones(4, 4).triu(1).bool()] = lowest
    return mask


every_third = lambda *shape: (torch.arange(math.prod(shape)) % 3 == 0).reshape(shape)
T = lambda a: a.transpose(-1, -2)

cases = {
    "Add": (torch.add, [draw((2, 3)), draw((2, 3))]),
    "Add, broadcast": (torch.add, [draw((2, 1, 3)), draw((4, 1))]),
    "Sub, broadcast": (torch.sub, [draw((3,)), draw((2, 3))]),
    "Mul": (torch.mul, [draw((2, 3)), draw((2, 3))]),
    "Mul, broadcast": (torch.mul, [draw((2, 3, 1)), draw((1, 4))]),
    "Mul, by a scalar": (torch.mul, [draw((2, 3)), draw(())]),
    "Div": (torch.div, [draw((2, 3)), positive((2, 3))]),
    "Div, broadcast": (torch.div, [draw((2, 3)), positive((2, 1))]),
    "Neg": (torch.neg, [draw((5,))]),
    "Exp": (torch.exp, [draw((2, 4))]),
    "Log": (torch.log, [positive((2, 4))]),
    "Sqrt": (torch.sqrt, [positive((2, 4))]),
    "Reciprocal": (torch.reciprocal, [positive((2, 4))]),
    "Tanh": (torch.tanh, [draw((2, 4))]),
    "Sigmoid": (torch.sigmoid, [draw((2, 4), -4, 4)]),
    "Gelu": (lambda x: F.gelu(x, approximate="tanh"), [draw((3, 5), -4, 4)]),
    "QuickGelu, alpha 1": (F.silu, [draw((3, 5), -4, 4)]),
    "QuickGelu, alpha 1.702": (lambda x: x * torch.sigmoid(1.702 * x), [draw((3, 5), -4, 4)]),
    "Softmax": (lambda x: x.softmax(-1), [draw((2, 3, 4))]),
    "Softmax, masked by -1e9": (lambda x: (x + mask_of(-1e9)).softmax(-1), [draw((2, 4, 4))]),
    "Softmax, masked by the lowest float": (lambda x: (x + mask_of(-3.4028234663852886e38)).softmax(-1), [draw((2, 4, 4))]),
    "Where": (lambda a, b: torch.where(every_third(2, 4), a, b), [draw((2, 4)), draw((2, 4))]),
    "Where, broadcast": (lambda a, b: torch.where(every_third(2, 4), a, b), [draw((4,)), draw((2, 1))]),
    "ReduceSum": (lambda x: x.sum((0, 2), keepdim=True), [draw((2, 3, 4))]),
    "ReduceSum, last axis counted from the end": (lambda x: x.sum(-1, keepdim=True), [draw((2, 3, 4))]),
    "ReduceMean": (lambda x: x.mean((1, 2), keepdim=True), [draw((2, 3, 4))]),
    "ReduceMax, taken off before exp": (lambda x: (x - x.amax(-1, keepdim=True)).softmax(-1), [draw((2, 5))]),
    "MatMul": (torch.matmul, [draw((3, 4)), draw((4, 2))]),
    "MatMul, broadcast": (torch.matmul, [draw((2, 1, 3, 4)), draw((5, 4, 2))]),
    "FusedMatMul": (lambda a, b: 0.5 * a @ b, [draw((2, 3, 4)), draw((2, 4, 2))]),
    "FusedMatMul, transA": (lambda a, b: 0.5 * T(a) @ b, [draw((2, 4, 3)), draw((2, 4, 2))]),
    "FusedMatMul, transB": (lambda a, b: 0.5 * a @ T(b), [draw((2, 3, 4)), draw((2, 2, 4))]),
    "FusedMatMul, transA, transB": (lambda a, b: 0.5 * T(a) @ T(b), [draw((2, 4, 3)), draw((2, 2, 4))]),
    "FusedMatMul, transB, broadcast": (lambda a, b: a @ T(b), [draw((2, 2, 3, 4)), draw((2, 1, 5, 4))]),
    "Gemm": (lambda a, b: 0.5 * a @ b, [draw((3, 4)), draw((4, 2))]),
    "Gemm, transA": (lambda a, b: 0.5 * T(a) @ b, [draw((4, 3)), draw((4, 2))]),
    "Gemm, transB": (lambda a, b: 0.5 * a @ T(b), [draw((3, 4)), draw((2, 4))]),
    "Gemm, transA, transB": (lambda a, b: 0.5 * T(a) @ T(b), [draw((4, 3)), draw((2, 4))]),
    "Gemm, with a sum": (lambda a, b, c: a @ T(b) + c, [draw((3, 4)), draw((2, 4)), draw((3, 2))]),
    "Gemm, with a row added": (lambda a, b, c: a @ b + c, [draw((3, 4)), draw((4, 2)), draw((2,))]),
    "Gemm, with a column added": (lambda a, b, c: a @ b + c, [draw((3, 4)), draw((4, 2)), draw((3, 1))]),
    "Gemm, with a scalar added": (lambda a, b, c: a @ b + c, [draw((3, 4)), draw((4, 2)), draw(())]),
    "Gemm, alpha and beta": (lambda a, b, c: 2 * a @ b - 0.75 * c, [draw((3, 4)), draw((4, 2)), draw((2,))]),
    "MatMulBnb4": (lambda x: x @ nf4(4, 128).T, [draw((3, 128))]),
    "MatMulBnb4, blocks across rows": (lambda x: x @ nf4(6, 32).T, [draw((2, 32))]),
    "SimplifiedLayerNormalization": (lambda x, w: rms_norm(x, w, 1e-6), [draw((3, 8)), draw((8,))]),
    "SimplifiedLayerNormalization, three axes, large epsilon": (lambda x, w: rms_norm(x, w, 0.1), [draw((2, 2, 8)), draw((8,))]),
    "RotaryEmbedding": (lambda x: rotate(x, torch.arange(3)), [draw((1, 2, 3, 8))]),
    "RotaryEmbedding, positions of each row": (lambda x: rotate(x, torch.tensor([[0, 1], [5, 15]])), [draw((2, 2, 2, 16))]),
    "RotaryEmbedding, from a first position on": (lambda x: rotate(x, torch.arange(4, 7)), [draw((1, 2, 3, 8))]),
    "Cast": (lambda x: x.clone(), [draw((2, 3))]),
    "Reshape": (lambda x: x.reshape(4, 3), [draw((2, 3, 2))]),
    "Transpose": (lambda x: x.permute(2, 0, 1), [draw((2, 3, 4))]),
    "Expand": (lambda x: x.expand(2, 3, 4), [draw((3, 1))]),
    "Concat": (lambda a, b, c: torch.cat([a, b, c], 1), [draw((2, 1, 2)), draw((2, 3, 2)), draw((2, 2, 2))]),
    "Slice": (lambda x: x[:, 1:3], [draw((2, 5, 2))]),
    "Slice, up to the end": (lambda x: x[2:], [draw((5, 2))]),
    "Slice, all of it": (lambda x: x.clone(), [draw((5, 2))]),
}


def solved(function, inputs):
    leaves = [x.clone().requires_grad_() for x in inputs]
    output = function(*leaves)
    arriving = draw(tuple(output.shape))
    gradients = torch.autograd.grad(output, leaves, arriving)
    return {
        "inputs": [written(x) for x in inputs],
        "output": written(output),
        "arriving": written(arriving),
        "gradients": [written(x) for x in gradients],
    }


def block(x, w):
    """Heads 4, of which keys and values have 2, of 8 numbers each; rotary positions 0 to 4; the causal mask."""
    tokens = x.shape[0]
    split = lambda y, heads: y.reshape(tokens, heads, 8).transpose(0, 1)
    h = rms_norm(x, w["norm1"], 1e-5)
    q = rotate(split(h @ w["q"].T, 4), torch.arange(tokens))
    k = rotate(split(h @ w["k"].T, 2), torch.arange(tokens)).repeat_interleave(2, 0)
    v = split(h @ w["v"].T, 2).repeat_interleave(2, 0)
    attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    x = x + attended.transpose(0, 1).reshape(tokens, 32) @ w["o"].T
    h = rms_norm(x, w["norm2"], 1e-5)
    return x + (F.silu(h @ w["gate"].T) * (h @ w["up"].T)) @ w["down"].T


shapes = {"x": (5, 16), "norm1": (16,), "q": (32, 16), "k": (16, 16), "v": (16, 16), "o": (16, 32), "norm2": (16,),
          "gate": (24, 16), "up": (24, 16), "down": (16, 24)}
values = {name: draw(shape, -1, 1) / 2 for name, shape in shapes.items()}
solution = solved(lambda x, *weights: block(x, dict(zip(list(shapes)[1:], weights))), list(values.values()))

line = lambda value: json.dumps(value, separators=(",", ":"))
solutions = {name: solved(*case) for name, case in cases.items()}
# Drawn after all others, whose numbers stay as they were.
solutions["Split"] = solved(lambda x: (lambda a, b: a.sum(1, keepdim=True) * b)(*x.split([2, 3], 1)), [draw((2, 5, 2))])
solutions["Split, a part unused"] = solved(lambda x: x.split([2, 1, 2], 0)[1] ** 2, [draw((5, 2))])
(folder / "operators.json").write_text("{\n" + ",\n".join(f"{json.dumps(name)}:{line(one)}" for name, one in solutions.items()) + "\n}\n")
(folder / "block.json").write_text(line({"names": list(shapes), **solution}) + "\n")
