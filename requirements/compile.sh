#!/usr/bin/env bash
# Remakes requirements/lock.txt from pyproject.toml. Pins that still fit are kept; `--upgrade` takes the newest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

command -v uv >/dev/null || { echo "error: uv is not installed (pip install uv)" >&2; exit 1; }

uv pip compile pyproject.toml \
    --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
    --extra serve --extra edge --extra ingest --extra demo --extra bench --extra dev \
    --overrides requirements/overrides.txt --excludes requirements/excludes.txt \
    --no-annotate --custom-compile-command requirements/compile.sh --quiet \
    --output-file requirements/lock.txt "$@" >/dev/null
echo "requirements/lock.txt: $(grep -c == requirements/lock.txt) pins"
