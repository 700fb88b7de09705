"""``python -m rtrecon`` is ``rtrecon``."""

import sys

from rtrecon.cli import main

sys.exit(main())
