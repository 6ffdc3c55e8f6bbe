#!/usr/bin/env bash
# Writes the training, validation and test examples of one part.
set -euo pipefail
verb="recall examples" words="PART [ALL]"
source "$(dirname -- "${BASH_SOURCE[0]}")/daily.sh"
is_word "${1-}" || fail_with_usage
command=(recall examples "$1") && shift
if is_all "${1-}"; then command+=(--task "$1") && shift; fi
is_word "${1-}" && fail_with_usage
run_kerasrec "${command[@]}" "$@"
