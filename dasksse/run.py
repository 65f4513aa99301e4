"""``python -m dasksse.run CONFIG``: start or continue a run; the same command both times."""

from __future__ import annotations

import sys

from dasksse.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]]))
