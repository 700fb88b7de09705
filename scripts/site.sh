#!/usr/bin/env bash
# Set up .venv and build the pages of docs/ into site/: scripts/site.sh [arguments of mkdocs build]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/environment.sh
set_up_environment docs
export NO_MKDOCS_2_WARNING=1
exec "$VENV_PYTHON" -m mkdocs build --strict --clean "$@"
