#!/usr/bin/env bash
# Throwaway Python environments for the peers that benches measure beside us. usage: bench/peers/setup.sh [FOLDER]
set -euo pipefail
home=${1:-${CLINFUSE_CACHE:-$HOME/.cache/clinfuse}/peers}
mkdir -p "$home"
for version in 4 5; do
  [ -x "$home/splink$version/bin/python" ] && continue
  python3 -m venv "$home/splink$version"
  "$home/splink$version/bin/pip" install --quiet "splink>=$version,<$((version + 1))" pyarrow pandas
done
echo "$home"
