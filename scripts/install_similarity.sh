#!/usr/bin/env bash
# Adds the extra "similarity" (sentence-transformers, torch, the offline encoder) to a virtual environment.
#
# Usage: install_similarity.sh VENV
#   TORCH_INDEX_URL   index that is tried first for torch, without retries; default: PyTorch's public CPU index.
#                     When that fails, pip's own configuration is used, and the script says so.
# Versions come from constraints.txt. About 1 GB with a CPU build of torch. Progress goes to standard error.
set -euo pipefail
venv=${1:?the virtual environment to install into}
root=$(cd "$(dirname "$0")/.." && pwd)
index=${TORCH_INDEX_URL:-https://download.pytorch.org/whl/cpu}
torch=$(grep -m1 '^torch==' "$root/constraints.txt")
pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)
if "$venv/bin/python" -c "import importlib.metadata as m, sys; sys.exit(m.version('torch').split('+')[0] != '${torch#torch==}')" 2>/dev/null; then
  echo "similarity: $torch is there already" >&2
elif "${pip[@]}" --index-url "$index" --retries 0 --timeout 15 "$torch" 2>/dev/null >&2; then
  echo "similarity: $torch from $index" >&2
else
  echo "similarity: $torch could not be had from $index; using pip's own configuration" >&2
  "${pip[@]}" "$torch" >&2
  echo "similarity: $torch from pip's own configuration" >&2
fi
"${pip[@]}" -c "$root/constraints.txt" -e "$root[dev,similarity]" >&2
