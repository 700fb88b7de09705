"""``python -m rtrecon`` is ``rtrecon``."""

import sys
from pathlib import Path

if not sys.flags.safe_path and sys.path and Path(sys.path[0] or ".").resolve() == Path.cwd():
    # Python puts the current folder first: a numpy.py in it is not to be run.
    del sys.path[0]

try:
    from rtrecon.console import note_interrupts

    note_interrupts()
    from rtrecon.cli import entry

    entry()
except KeyboardInterrupt:  # before there is anything to end
    sys.exit(130)
