#!/usr/bin/env bash
# Predicts the classes of the pairs in a file and writes the classes and probabilities as CSV.
set -euo pipefail
verb="sentence-pair predict" words="OUTPUT_DIR PREDICT_FILE RESULT_FILE"
source "$(dirname -- "${BASH_SOURCE[0]}")/daily.sh"
is_word "${1-}" && is_word "${2-}" && is_word "${3-}" || fail_with_usage
run_kerasrec sentence-pair predict --output_dir "$1" --predict_file "$2" --result_file "$3" "${@:4}"
