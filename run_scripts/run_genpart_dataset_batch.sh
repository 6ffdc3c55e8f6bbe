#!/usr/bin/env bash
# The examples of the parts PREFIX + FIRST to PREFIX + LAST, in parallel processes.
set -euo pipefail
verb="recall examples" words="PREFIX [ALL] FIRST LAST"
source "$(dirname -- "${BASH_SOURCE[0]}")/daily.sh"
is_word "${1-}" || wrong
command=(recall examples "$1") && shift
if is_all "${1-}"; then command+=(--task "$1") && shift; fi
is_number "${1-}" || wrong
is_number "${2-}" || wrong
command+=(--first "$1" --last "$2") && shift 2
is_word "${1-}" && wrong
run_kerasrec "${command[@]}" "$@"
