#!/usr/bin/env bash
# Generates the Python stubs from the protos: protos/generate.sh [PYTHON] [OUTPUT FOLDER].
# The compiler is the oldest of the protobuf range in clients/python/pyproject.toml, so that the stubs import on all of it.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}
out=${2:-clients/python}
tools=.venv/stubs
if [ ! -x "$tools/bin/protoc-gen-mypy" ]; then
  echo "stubs: installing the pinned compiler into $tools"
  "$python" -m venv "$tools"
  "$tools/bin/pip" install --quiet "grpcio-tools==1.75.1" "mypy-protobuf==3.7.0" "setuptools<81"
fi
mkdir -p "$out"
PATH="$PWD/$tools/bin:$PATH" "$tools/bin/python" -m grpc_tools.protoc -I protos \
  --python_out="$out" --grpc_python_out="$out" --mypy_out="$out" --mypy_grpc_out="$out" \
  protos/itemlens/v1/*.proto
