#!/usr/bin/env bash
# Runs all steps of ColaRec, from the input files to a SavedModel. Options go to the training step; options after the
# name of a step go to this step, and options after `all` go to every step.
set -euo pipefail
verb="colarec" words="NAME INTERACTIONS CORPUS [VALID TEST] [options of train] [STEP|all]"
source "$(dirname -- "${BASH_SOURCE[0]}")/daily.sh"

is_step() { [[ ${1-} =~ ^(all|prepare|lightgcn|bpr-mf|identifiers|item-recall|train|evaluate|export)$ ]]; }
is_file() { is_word "${1-}" && ! is_step "$1"; }

is_file "${1-}" && is_file "${2-}" && is_file "${3-}" || fail_with_usage
name=$1 files=(--interactions "$2" --corpus "$3")
shift 3
if is_file "${1-}"; then
    is_file "${2-}" || fail_with_usage
    files+=(--valid "$1" --test "$2")
    shift 2
fi
options=("$@")

step() { # runs in a subshell, because run_kerasrec replaces the shell
    local to=train word given=() command=${1/bpr-mf/lightgcn}
    for word in "${options[@]}"; do
        if is_step "$word"; then
            to=$word
        elif [[ $to == all || $to == "$1" ]]; then
            given+=("$word")
        fi
    done
    (run_kerasrec colarec "$command" "$name" "${given[@]}" "${@:2}")
}

step prepare "${files[@]}"
step lightgcn
step bpr-mf --propagations 0 # matrix factorisation, as a baseline
step identifiers
step item-recall
step train
step evaluate
step export
