#!/usr/bin/env bash
# Set up .venv, make wheel and sdist in dist/, check them, and run the demo on the wheel in a new
# environment: scripts/build.sh [arguments of tools/check_dist.py]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/environment.sh
set_up_environment package
exec "$VENV_PYTHON" tools/check_dist.py "$@"
