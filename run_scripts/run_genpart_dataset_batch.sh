#!/usr/bin/env bash
# Writes the examples of the parts PREFIX + FIRST to PREFIX + LAST, in parallel processes.
set -euo pipefail
verb="recall examples" words="PREFIX [ALL] FIRST LAST"
source "$(dirname -- "${BASH_SOURCE[0]}")/daily.sh"
is_word "${1-}" || fail_with_usage
command=(recall examples "$1") && shift
if is_all "${1-}"; then command+=(--task "$1") && shift; fi
is_number "${1-}" || fail_with_usage
is_number "${2-}" || fail_with_usage
command+=(--first "$1" --last "$2") && shift 2
is_word "${1-}" && fail_with_usage
run_kerasrec "${command[@]}" "$@"
