"""transformers as a classifier of pairs, to compare with: one request a line on stdin, one answer a line on stdout, so that runs can alternate.

usage: llm-classify.py FOLDER THREADS
{"do": "texts", "file": path, "batch": n}   path: a JSON list of texts; all scored, sorted by length: seconds and logits, in the list's order
"""
import json, os, sys, time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait must not take the other side's turn
import torch
import transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer

torch.set_num_threads(int(sys.argv[2]))
transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForSequenceClassification.from_pretrained(sys.argv[1], dtype=torch.float32).eval()
pad = model.config.pad_token_id if model.config.pad_token_id is not None else 0
model.config.pad_token_id = pad


def score(texts, batch):
    ids = tokenizer(texts)["input_ids"]
    order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
    logits = [None] * len(ids)
    with torch.inference_mode():
        for start in range(0, len(order), batch):
            places = order[start : start + batch]
            longest = len(ids[places[0]])
            rows = torch.full((len(places), longest), pad)
            mask = torch.zeros((len(places), longest), dtype=torch.long)
            for row, place in enumerate(places):
                rows[row, : len(ids[place])] = torch.tensor(ids[place])
                mask[row, : len(ids[place])] = 1
            hidden = model.model(rows, attention_mask=mask).last_hidden_state
            ends = mask.sum(1) - 1
            for place, pair in zip(places, model.score(hidden[torch.arange(len(places)), ends]).tolist()):
                logits[place] = pair
    return logits


print("{}", flush=True)
for line in sys.stdin:
    ask = json.loads(line)
    texts = json.load(open(ask["file"]))
    start = time.perf_counter()
    logits = score(texts, ask["batch"])
    print(json.dumps({"seconds": time.perf_counter() - start, "logits": logits}), flush=True)
