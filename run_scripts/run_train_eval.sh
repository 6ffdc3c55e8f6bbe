#!/usr/bin/env bash
# Continues training on one part from the last checkpoint until the global step is TRAIN_MULTI times --steps-per-multi.
# Evaluates after training (EVAL_MODE 0) or before training (1).
set -euo pipefail
verb="recall train" words="PART [ALL] [TRAIN_MULTI] [EVAL_MODE: 0 or 1]"
source "$(dirname -- "${BASH_SOURCE[0]}")/daily.sh"
is_word "${1-}" || fail_with_usage
command=(recall train "$1") && shift
if is_all "${1-}"; then command+=(--task "$1") && shift; fi
if is_number "${1-}"; then
    command+=(--train_multi "$1") && shift
    if [[ ${1-} == [01] ]]; then command+=(--eval_mode "$1") && shift; fi
fi
is_word "${1-}" && fail_with_usage
run_kerasrec "${command[@]}" "$@"
