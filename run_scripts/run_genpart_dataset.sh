#!/usr/bin/env bash
# One part's training, validation and test examples.
set -euo pipefail
verb="recall examples" words="PART [ALL]"
source "$(dirname -- "${BASH_SOURCE[0]}")/daily.sh"
is_word "${1-}" || wrong
command=(recall examples "$1") && shift
if is_all "${1-}"; then command+=(--task "$1") && shift; fi
is_word "${1-}" && wrong
run_kerasrec "${command[@]}" "$@"
