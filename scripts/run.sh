#!/usr/bin/env bash
# Set up .venv and start the live reconstruction: scripts/run.sh [arguments of `rtrecon run`]
set -euo pipefail
caller="$PWD"
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/environment.sh
set_up_environment "$(runtime_extra)" window
cd "$caller" # paths in the arguments are the caller's
exec "$VENV_PYTHON" -m rtrecon run "$@"
