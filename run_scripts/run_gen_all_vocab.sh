#!/usr/bin/env bash
# Builds the vocabulary over all parts of a task.
set -euo pipefail
verb="recall vocab" words="ALL"
source "$(dirname -- "${BASH_SOURCE[0]}")/daily.sh"
is_all "${1-}" || fail_with_usage
is_word "${2-}" && fail_with_usage
run_kerasrec recall vocab "$@"
