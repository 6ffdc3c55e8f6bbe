#!/usr/bin/env bash
# All of ColaRec, from the two files to a SavedModel. Options behind CORPUS go to the training.
set -euo pipefail
verb="colarec train" words="NAME INTERACTIONS CORPUS [VALID TEST]"
source "$(dirname -- "${BASH_SOURCE[0]}")/daily.sh"
is_word "${1-}" && is_word "${2-}" && is_word "${3-}" || wrong
name=$1 files=(--interactions "$2" --corpus "$3")
shift 3
if is_word "${1-}"; then
    is_word "${2-}" || wrong
    files+=(--valid "$1" --test "$2")
    shift 2
fi

step() { (run_kerasrec colarec "$@"); } # in a shell of its own, which run_kerasrec ends

step prepare "$name" "${files[@]}"
step lightgcn "$name"
step identifiers "$name"
step item-recall "$name"
step train "$name" "$@"
step evaluate "$name"
step export "$name"
