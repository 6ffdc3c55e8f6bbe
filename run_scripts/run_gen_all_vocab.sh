#!/usr/bin/env bash
# One vocabulary over all parts of a task.
set -euo pipefail
verb="recall vocab" words="ALL"
source "$(dirname -- "${BASH_SOURCE[0]}")/daily.sh"
is_all "${1-}" || wrong
is_word "${2-}" && wrong
run_kerasrec recall vocab "$@"
