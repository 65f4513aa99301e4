"""``python -m dasksse.cli`` is ``dasksse``."""

from __future__ import annotations

import sys

from dasksse.cli.main import main

sys.exit(main())
