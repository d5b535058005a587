"""``python -m cartnet``: the same as the console script ``cartnet``."""

from __future__ import annotations

import sys

from cartnet.tools.main import main

if __name__ == "__main__":
    sys.exit(main())
