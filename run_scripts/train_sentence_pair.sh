#!/usr/bin/env bash
# Trains the two-sentence model on labelled pairs (--do_train), predicts with it (--do_predict), or both.
set -euo pipefail
verb="sentence-pair train" words=""
source "$(dirname -- "${BASH_SOURCE[0]}")/daily.sh"
[[ ${1-} ]] || fail_with_usage
run_kerasrec sentence-pair train "$@"
