#!/usr/bin/env bash
# Builds the documentation into site/; warnings are errors: usage: docs.sh [options of mkdocs build]
set -euo pipefail
extras=docs
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
cd -- "$root"
export NO_MKDOCS_2_WARNING=1
exec "$venv/bin/python" -m mkdocs build --strict "$@"
