"""A notebook as a page: its text, code and stored outputs in Markdown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def notebook_page(path: Path) -> str:
    """Cells of a notebook in Markdown, without its title.

    Parameters
    ----------
    path
        Notebook in format 4 whose first cell is the title.
    """
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    cells[0]["source"] = cells[0]["source"][1:]
    return "\n\n".join(block for cell in cells for block in _blocks(cell)) + "\n"


def _blocks(cell: dict[str, Any]) -> Iterator[str]:
    """Text, or code and what it printed and drew."""
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield source
        return
    yield f"```python\n{source}\n```"
    printed = "".join("".join(output.get("text", "")) for output in cell["outputs"])
    if printed:
        yield f"```text\n{printed}```"
    for output in cell["outputs"]:
        if "image/png" in output.get("data", {}):
            yield f"![figure](data:image/png;base64,{output['data']['image/png'].strip()})"
