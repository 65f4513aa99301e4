"""Keep modules, functions and argument lists small; exceptions are listed here with a reason.

Limits: 350 lines a module, 50 lines a function (docstring not counted), 8 arguments. An
exception that is no longer needed is an offence too, so that the tables stay true.

    python tools/size_check.py [FOLDER ...]
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("dasksse", "tools", "docs")
MODULE_LINES, FUNCTION_LINES, ARGUMENTS = 350, 50, 8

Function = ast.FunctionDef | ast.AsyncFunctionDef

EXCEPTIONS: Mapping[str, Mapping[str, str]] = {
    "module": {
        "dasksse/config/schema.py": "declarations only: every key of the config in one place",
    },
    "function": {},
    "arguments": {
        "dasksse/train/deepmd_input.py:training_input": (
            "every fact a training depends on, all by keyword"
        ),
        "dasksse/train/deepmd_run.py:train_member": (
            "what to train, how, where and from what, all by keyword"
        ),
    },
}
"""By kind of limit: what may exceed it, and why. Modules by path, functions as path:name."""


class Offence(NamedTuple):
    """Something above a limit."""

    kind: str
    name: str
    line: int
    size: int
    limit: int

    def __str__(self) -> str:
        """One line that editors can jump to."""
        path, _, function = self.name.partition(":")
        unit = "arguments" if self.kind == "arguments" else "lines"
        what = f"function {function}" if function else "module"
        return f"{path}:{self.line}: {what} has {self.size} {unit}, limit {self.limit}"


def _docstring_lines(node: Function) -> int:
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is None:
        return 0
    return (first.end_lineno or first.lineno) - first.lineno + 1


def _function_lines(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1 - _docstring_lines(node)


def _arguments(node: Function) -> int:
    named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return sum(argument.arg not in {"self", "cls"} for argument in named)


def _functions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    """All functions below a node with their dotted names."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}{child.name}"
            if not isinstance(child, ast.ClassDef):
                yield name, child
            yield from _functions(child, f"{name}.")
        else:
            yield from _functions(child, prefix)


def find_offences(path: Path, root: Path = ROOT) -> Iterator[Offence]:
    """Everything in one file that is above a limit, exceptions included."""
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(root).as_posix()
    n_lines = len(text.splitlines())
    if n_lines > MODULE_LINES:
        yield Offence("module", name, 1, n_lines, MODULE_LINES)
    for function, node in _functions(ast.parse(text)):
        measured = (
            ("function", _function_lines(node), FUNCTION_LINES),
            ("arguments", _arguments(node), ARGUMENTS),
        )
        for kind, size, limit in measured:
            if size > limit:
                yield Offence(kind, f"{name}:{function}", node.lineno, size, limit)


def main(folders: list[str]) -> int:
    """Print offenders and stale exceptions; 1 when there are any."""
    roots = [ROOT / folder for folder in folders or FOLDERS]
    files = [path for root in roots for path in sorted(root.rglob("*.py"))]
    found = [offence for path in files for offence in find_offences(path)]
    bad = [str(offence) for offence in found if offence.name not in EXCEPTIONS[offence.kind]]
    if not folders:
        needed = {(offence.kind, offence.name) for offence in found}
        bad += [
            f"tools/size_check.py: the {kind} exception for {name} is not needed any more"
            for kind, names in EXCEPTIONS.items()
            for name in names
            if (kind, name) not in needed
        ]
    for line in bad:
        print(line)
    print(f"{len(files)} files, {len(bad)} above the limits")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
