#!/usr/bin/env bash
# The test suite: usage: test.sh [options of pytest]
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
cd -- "$root"
exec "$venv/bin/python" -m pytest "$@"
