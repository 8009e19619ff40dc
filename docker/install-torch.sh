#!/bin/sh
# install-torch PYTHON INDEX_URL CONSTRAINTS: torch into PYTHON's environment, from INDEX_URL first, without retries;
# when that fails, from wherever pip is configured to look. Says which it was: on PyPI this version is a CUDA build.
set -eu
python=$1 index=$2 constraints=$3
if "$python" -m pip install --retries 0 --timeout 15 --index-url "$index" --constraint "$constraints" torch; then
    echo "install-torch: torch came from $index" >&2
else
    echo "install-torch: $index did not give it; asking pip's own configuration" >&2
    "$python" -m pip install --constraint "$constraints" torch
    echo "install-torch: torch came from pip's own configuration" >&2
fi
