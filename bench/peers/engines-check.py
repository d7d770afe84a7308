"""Reads configurations written for TRL and Axolotl with their own parsers. usage: engines-check.py trl|axolotl FOLDER
or: engines-check.py logits MODEL ADAPTER IDS

For each YAML file of the folder: is every key known, does it parse, and is each value, once read, the one that was written? One JSON list.
Axolotl's validators are given a machine with two Hopper GPUs; TRL's parser is told to use the CPU, without which it refuses bfloat16 here.
`logits`: those of the model with an adapter, as transformers and PEFT compute them, for rows of token ids in JSON.
"""
import json, logging, os, sys, warnings
from pathlib import Path

import yaml

warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)


def same(read, written):
    if isinstance(written, dict):
        return all(same(read.get(key) if isinstance(read, dict) else getattr(read, key, None), value) for key, value in written.items())
    if isinstance(written, list) and isinstance(read, list):
        return len(read) == len(written) and all(same(a, b) for a, b in zip(read, written))
    if isinstance(written, list) and len(written) == 1:  # TRL takes a single target out of its list
        return read == written[0]
    read = getattr(read, "value", read)
    if written == "none" and read == []:  # report_to
        return True
    if isinstance(written, bool) or isinstance(read, bool):
        return read is written
    if isinstance(written, (int, float)):
        return float(read) == float(written)
    return str(read) == str(written)


def trl(path, config):
    from trl.scripts.sft import make_parser

    parts = make_parser().parse_args_and_config(["--config", str(path), "--use_cpu", "true"], fail_with_unknown_args=True)
    return {key: next(getattr(part, key) for part in parts if hasattr(part, key)) for key in config}


def axolotl(path, config):
    from axolotl.utils.config import validate_config
    from axolotl.utils.dict import DictDefault
    from axolotl.utils.schemas.config import AxolotlInputConfig
    from axolotl.utils.schemas.datasets import SFTDataset

    unknown = [key for key in config if key not in AxolotlInputConfig.model_fields]
    unknown += [key for key in ("datasets", "test_datasets") for one in config.get(key, []) for key in one if key not in SFTDataset.model_fields]
    if unknown:
        raise ValueError(f"unknown keys: {unknown}")
    machine = {"bf16": True, "fp8": True, "tf32": True, "n_gpu": 2, "n_node": 1, "compute_capability": "sm_90"}
    return validate_config(DictDefault(config), capabilities=machine, env_capabilities={"torch_version": "2.15.0"}).to_dict()


def logits(model, adapter, ids):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(1)
    with torch.no_grad():
        loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), adapter).eval()
        return loaded(input_ids=torch.tensor(json.loads(ids))).logits.tolist()


if sys.argv[1] == "logits":
    print(json.dumps(logits(*sys.argv[2:5])), flush=True)
    os._exit(0)
found = []
for path in sorted(Path(sys.argv[2]).glob("*.yaml")):
    config = yaml.safe_load(path.read_text())
    try:
        read = {"trl": trl, "axolotl": axolotl}[sys.argv[1]](path, yaml.safe_load(path.read_text()))
        fault = [f"{key}: {value!r} read as {read.get(key)!r}" for key, value in config.items() if not same(read.get(key), value)]
    except BaseException as cause:  # argparse exits
        fault = [f"{type(cause).__name__}: {str(cause)[:400]}"]
    found.append({"name": path.stem, "keys": len(config), "fault": fault})
print(json.dumps(found), flush=True)
os._exit(0)
