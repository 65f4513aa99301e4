"""Run the cells of notebooks in this process and store what they print and draw; no Jupyter.

``python tools/run_notebook.py examples/01-trajectory-diffusion/*.ipynb``
"""

from __future__ import annotations

import base64
import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt

DOTS_PER_INCH = 80


def run_cells(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Execute code cells one after the other; their outputs are put into them.

    Parameters
    ----------
    cells
        Cells of a notebook. Each is plain Python; the value of its last line is not shown.

    Returns
    -------
    dict
        Names that the cells leave behind.
    """
    plt.switch_backend("Agg")
    names: dict[str, Any] = {"__name__": "__main__"}
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    for count, cell in enumerate(code, start=1):
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile("".join(cell["source"]), f"cell {count}", "exec"), names)  # noqa: S102 - our own cells
        cell["execution_count"] = count
        cell["outputs"] = [*_stream(printed.getvalue()), *_figures()]
    return names


def _stream(text: str) -> list[dict[str, Any]]:
    lines = text.splitlines(keepends=True)
    return [{"name": "stdout", "output_type": "stream", "text": lines}] if lines else []


def _figures() -> list[dict[str, Any]]:
    """Figures that the cell has drawn, which are closed."""
    drawn = []
    for number in plt.get_fignums():
        file = io.BytesIO()
        plt.figure(number).savefig(file, dpi=DOTS_PER_INCH, metadata={"Software": None})
        image = base64.b64encode(file.getvalue()).decode()
        drawn.append(
            {"data": {"image/png": image}, "metadata": {}, "output_type": "display_data"}
        )
    plt.close("all")
    return drawn


def main(paths: list[str]) -> int:
    """Run notebooks and rewrite them with their outputs."""
    for path in map(Path, paths):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        run_cells(notebook["cells"])
        text = json.dumps(notebook, indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
