#!/usr/bin/env bash
# Trains on all parts of a task, their files together, or part after part with --sequential, until the global step stands
# at TRAIN_MULTI times --steps-per-multi, and evaluates.
set -euo pipefail
verb="recall train" words="ALL [TRAIN_MULTI]"
source "$(dirname -- "${BASH_SOURCE[0]}")/daily.sh"
is_all "${1-}" || wrong
command=(recall train "$1") && shift
if is_number "${1-}"; then command+=(--train_multi "$1") && shift; fi
is_word "${1-}" && wrong
run_kerasrec "${command[@]}" "$@"
