#!/usr/bin/env bash
# Exports the SavedModel of a task.
set -euo pipefail
verb="recall export" words="ALL"
source "$(dirname -- "${BASH_SOURCE[0]}")/daily.sh"
is_all "${1-}" || fail_with_usage
is_word "${2-}" && fail_with_usage
run_kerasrec recall export "$@"
