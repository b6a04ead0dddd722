"""``python -m dqi_tracking``: the same as ``dqi``."""

import sys

from dqi_tracking.cli import main

if __name__ == "__main__":
    sys.exit(main())
