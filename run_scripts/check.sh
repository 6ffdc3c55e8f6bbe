#!/usr/bin/env bash
# The checks besides the tests: style, types, documentation. Usage: check.sh
set -euo pipefail
extras=test,docs,dev
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
cd -- "$root"
"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check .
"$venv/bin/basedpyright"
bash run_scripts/docs.sh --quiet --site-dir "$venv/site"
