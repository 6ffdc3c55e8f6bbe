#!/usr/bin/env bash
# Runs all steps of item recall on a generated sample: usage: quickstart.sh [options of kerasrec recall quickstart]
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
exec "$venv/bin/kerasrec" recall quickstart "$@"
