#!/usr/bin/env bash
# Set up .venv and run lint, types and tests: scripts/test.sh [arguments of pytest]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/environment.sh
set_up_environment "$(runtime_extra)" window dev train export examples docs
"$VENV_PYTHON" -m ruff check rtrecon tools benchmarks examples tests
"$VENV_PYTHON" -m ruff format --check rtrecon tools benchmarks examples tests
"$VENV_PYTHON" -m mypy
exec "$VENV_PYTHON" -m pytest "$@"
