"""transformers' generate, to compare with: one request a line on stdin, one answer a line on stdout, so that runs can alternate.

usage: llm-generate.py FILE.gguf THREADS
{"do": "texts", "prompts": [[id]], "tokens": n}   greedy ids of each prompt alone, in f32
{"do": "speed", "prompts": [[id]], "tokens": n}   one batch of prompts of one length; seconds, and seconds of CPU
{"do": "q8", "out": path}                         writes the model again with all matrices as Q8_0
{"do": "load", "file": path}                      takes another file
"""
import json, os, resource, sys, time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait must not take the other side's turn
import torch
import transformers
from gguf import GGUFReader, GGUFValueType, GGUFWriter, GGMLQuantizationType, quants
from transformers import AutoModelForCausalLM

torch.set_num_threads(int(sys.argv[2]))
transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()


def load(path):
    model = AutoModelForCausalLM.from_pretrained(os.path.dirname(path), gguf_file=os.path.basename(path), dtype=torch.float32).eval()
    # The stop tokens are off: all texts are of one length.
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    return model


def generate(model, prompts, tokens):
    ids = torch.tensor(prompts)
    with torch.no_grad():
        return model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False)[:, ids.shape[1]:].tolist()


def write_q8(path, out):
    reader = GGUFReader(path)
    writer = GGUFWriter(out, reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if not field.name.startswith("GGUF.") and field.name != "general.architecture":
            is_array = field.types[0] == GGUFValueType.ARRAY
            writer.add_key_value(field.name, field.contents(), field.types[0], field.types[-1] if is_array else None)
    for t in reader.tensors:
        values = quants.dequantize(t.data, t.tensor_type)
        if values.ndim == 2:
            writer.add_tensor(t.name, quants.quantize(values, GGMLQuantizationType.Q8_0), raw_dtype=GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(t.name, values)
    writer.write_header_to_file(); writer.write_kv_data_to_file(); writer.write_tensors_to_file(); writer.close()


cpu = lambda: (lambda r: r.ru_utime + r.ru_stime)(resource.getrusage(resource.RUSAGE_SELF))
model = load(sys.argv[1])
print("{}", flush=True)
for line in sys.stdin:
    ask = json.loads(line)
    if ask["do"] == "texts":
        answer = {"ids": [generate(model, [p], ask["tokens"])[0] for p in ask["prompts"]]}
    elif ask["do"] == "speed":
        start, begun = time.perf_counter(), cpu()
        generate(model, ask["prompts"], ask["tokens"])
        answer = {"seconds": time.perf_counter() - start, "cpu": cpu() - begun}
    elif ask["do"] == "q8":
        write_q8(sys.argv[1], ask["out"])
        answer = {}
    else:
        model = load(ask["file"])
        answer = {}
    print(json.dumps(answer), flush=True)
