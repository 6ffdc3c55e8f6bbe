#!/usr/bin/env bash
# Trains on all parts of a task until the global step is TRAIN_MULTI times --steps-per-multi, then evaluates.
# Mixes the examples of all parts, or trains on one part after another with --sequential.
set -euo pipefail
verb="recall train" words="ALL [TRAIN_MULTI]"
source "$(dirname -- "${BASH_SOURCE[0]}")/daily.sh"
is_all "${1-}" || fail_with_usage
command=(recall train "$1") && shift
if is_number "${1-}"; then command+=(--train_multi "$1") && shift; fi
is_word "${1-}" && fail_with_usage
run_kerasrec "${command[@]}" "$@"
