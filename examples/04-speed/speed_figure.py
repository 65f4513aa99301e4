"""Fits, tables and figure of the speed example, from the rows that speed.py measures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from dasksse.report.figures.style import CYCLE, INK, MARKERS, MUTED, styled
from dasksse.report.formats import format_number, format_value_error
from dasksse.study.speed import PAPER
from dasksse.study.speed_timing import laws

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = dict[str, Any]
KINDS = (("float64", False), ("float64", True), ("float32", False), ("float32", True))
SCALINGS = {"threads": "threads", "ranks": "MPI ranks", "runs": "runs at once"}


def kind_name(precision: str, compressed: bool) -> str:
    """Precision and compression in words."""
    return f"{precision}, compressed" if compressed else precision


def curves(rows: list[Row]) -> dict[tuple[str, str, bool, int], list[Row]]:
    """Rows of the part `md` that have a time, by network, precision, compression and models."""
    found: dict[tuple[str, str, bool, int], list[Row]] = {}
    for row in rows:
        if row["part"] == "md" and row["step_s"]:
            key = (row["network"], row["precision"], row["compressed"], row["n_models"])
            found.setdefault(key, []).append(row)
    return found


def fits(rows: list[Row]) -> list[Row]:
    """Line and power law through the times of each curve with two sizes or more."""
    found = []
    for (network, precision, compressed, n_models), curve in curves(rows).items():
        law = laws([row["n_atoms"] for row in curve], [row["step_s"] for row in curve])
        if law is not None:
            key = {"network": network, "precision": precision, "compressed": compressed}
            found.append({**key, "n_models": n_models, **law})
    return found


# --- tables ----------------------------------------------------------------------------------


def markdown(rows: list[Row], found: list[Row], *, is_quick: bool) -> str:
    """All tables, to be pasted into a page."""
    parts = [_about(rows), *(_md_tables(rows)), _law_table(found), _scaling_table(rows)]
    parts += [_training_table(rows), _reasons(rows)]
    if is_quick:
        parts.insert(0, "**Toy size (`--quick`): these times mean nothing.**")
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(columns: list[str], lines: list[list[str]]) -> str:
    table = [columns, ["---"] * len(columns), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in table)


def _about(rows: list[Row]) -> str:
    """The machine, the software and the commands, each once."""
    sentences = []
    for row in rows:
        about = row["machine"]
        software = ", ".join(f"{name} {version}" for name, version in row["versions"].items())
        sentences.append(
            f"Measured on {row['date']} on {row['device']} ({about['cpu']}, "
            f"{about['cpu_cores']} cores); {software}; `{row['command']}`."
        )
    loads = [row["machine"]["load_1_min"] for row in rows]
    load = f"Load of the machine meanwhile, this included: {min(loads):g} to {max(loads):g}."
    return "\n".join([*dict.fromkeys(sentences), load])


def _md_tables(rows: list[Row]) -> list[str]:
    """Hours for a nanosecond, and time of a step."""
    found = curves(rows)
    if not found:
        return []
    sizes = sorted({row["n_atoms"] for curve in found.values() for row in curve})
    columns = ["network", "precision", "models", *(f"{size} atoms" for size in sizes)]
    titles = {
        "Hours per ns (steps of 2 fs)": lambda row: format_number(row["hours_per_ns"]),
        "Time of a step in ms (steps/s)": lambda row: (
            f"{format_number(1e3 * row['step_s'])} ({format_number(row['steps_per_s'])})"
        ),
    }
    tables = []
    for title, shown in titles.items():
        lines = []
        for (network, precision, compressed, n_models), curve in found.items():
            known = {row["n_atoms"]: shown(row) for row in curve}
            cells = [known.get(size, "") for size in sizes]
            lines.append([network, kind_name(precision, compressed), f"{n_models}", *cells])
        tables.append(f"{title}:\n\n{_table(columns, lines)}")
    return tables


def _law_table(found: list[Row]) -> str:
    lines = [
        [
            law["network"],
            kind_name(law["precision"], law["compressed"]),
            f"{law['n_models']}",
            _with_error(law, "a_s", 1e3),
            _with_error(law, "b_s_per_atom", 1e6),
            _with_error(law, "exponent", 1.0),
        ]
        for law in found
    ]
    columns = ["network", "precision", "models", "a [ms]", "b [µs/atom]", "exponent p"]
    title = "Time of a step, t = a + b N, and t ~ N^p:"
    return f"{title}\n\n{_table(columns, lines)}" if lines else ""


def _with_error(law: Row, key: str, factor: float) -> str:
    error = law[f"{key}_err"]
    return format_value_error(factor * law[key], None if error is None else factor * error)


def scalings(rows: list[Row]) -> dict[tuple[str, int], list[Row]]:
    """Rows by what was multiplied (threads, ranks or runs) and by size, each from one on."""
    found: dict[tuple[str, int], list[Row]] = {}
    for row in (row for row in rows if row["part"] in {"threads", "runs"} and row["step_s"]):
        names = [name for name in SCALINGS if row[name] > 1]
        if not names:  # where all curves of a part begin
            names = ["runs"] if row["part"] == "runs" else ["threads", "ranks"]
        for name in names:
            found.setdefault((name, row["n_atoms"]), []).append(row)
    order = sorted(found, key=lambda key: (list(SCALINGS).index(key[0]), key[1]))
    ordered = {
        (name, n): sorted(found[name, n], key=lambda row: row[name]) for name, n in order
    }
    return {key: part for key, part in ordered.items() if len(part) > 1}


def _scaling_table(rows: list[Row]) -> str:
    lines = []
    for (name, n_atoms), part in scalings(rows).items():
        for row in part:
            ratio = row["steps_per_s"] / part[0]["steps_per_s"]
            speed = format_number(row["steps_per_s"])
            lines.append([SCALINGS[name], f"{n_atoms}", f"{row[name]}", speed, f"{ratio:.2f}"])
    columns = ["one model, float32", "atoms", "how many", "steps/s in all", "against one"]
    return _table(columns, lines) if lines else ""


def _training_table(rows: list[Row]) -> str:
    lines = [
        [
            row["network"],
            row["precision"],
            f"{row['n_atoms']}",
            format_number(1e3 * row["step_s"]),
            format_number(row["hours_per_400k_steps"]),
        ]
        for row in rows
        if row["part"] == "training"
    ]
    columns = ["network", "precision", "atoms", "training step [ms]", "h for 400 000 steps"]
    return _table(columns, lines) if lines else ""


def _reasons(rows: list[Row]) -> str:
    """What could not be measured."""
    found = [
        f"- {row['task']}: {row['reason'].splitlines()[0]}" for row in rows if row["reason"]
    ]
    return "\n".join(["Not measured:", "", *dict.fromkeys(found)]) if found else ""


# --- figure ----------------------------------------------------------------------------------


@styled
def draw(rows: list[Row], found: list[Row]) -> Figure:
    """Hours for a nanosecond against atoms, and what threads, ranks and runs at once bring."""
    gains = scalings(rows)
    figure = Figure(figsize=(8.6 if gains else 5.0, 3.9), layout="constrained")
    ratios = [3, 2] if gains else [1]
    all_axes = figure.subplots(1, len(ratios), width_ratios=ratios, squeeze=False)[0]
    _draw_sizes(all_axes[0], rows, found)
    if gains:
        _draw_gains(all_axes[1], gains)
    return figure


def _draw_sizes(axes: Axes, rows: list[Row], found: list[Row]) -> None:
    axes.set(xscale="log", yscale="log", xlabel="number of atoms", ylabel="hours per ns (2 fs)")
    others: dict[str, dict[str, str]] = {}
    exponents = {tuple(law[key] for key in _KEY): law["exponent"] for law in found}
    for key, curve in curves(rows).items():
        network, precision, compressed, n_models = key
        place = KINDS.index((precision, compressed))
        many = n_models > 1
        label = "" if many or network == "published" else kind_name(precision, compressed)
        if label and key in exponents:
            label += f", N$^{{{exponents[key]:.2f}}}$"
        if many:
            others[f"the same, {n_models} models"] = {"marker": "o", "linestyle": "--"}
        elif not label:
            others["published size of network"] = {"marker": "*", "linestyle": ""}
        axes.plot(
            [row["n_atoms"] for row in curve],
            [row["hours_per_ns"] for row in curve],
            color=CYCLE[place],
            marker="*" if network == "published" else MARKERS[place],
            markersize=9 if network == "published" else 5,
            markerfacecolor="white" if many else CYCLE[place],
            linestyle="--" if many else "-",
            linewidth=1.0,
            label=label or "_none",
        )
    for label, look in others.items():
        axes.plot([], [], color=MUTED, markerfacecolor="white", label=label, **look)
    axes.plot(
        PAPER["n_atoms"],
        PAPER["hours_per_ns"],
        color=INK,
        marker="o",
        markersize=8,
        markerfacecolor="white",
        linestyle="",
        label=f"Huang et al. 2021, {PAPER['machine']}",
    )
    sizes = sorted({row["n_atoms"] for curve in curves(rows).values() for row in curve})
    axes.set_xticks(sizes, [f"{size}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.margins(0.06)
    axes.legend(fontsize=7, loc="upper left")


_KEY = ("network", "precision", "compressed", "n_models")


def _draw_gains(axes: Axes, gains: dict[tuple[str, int], list[Row]]) -> None:
    sizes = sorted({n_atoms for _, n_atoms in gains})
    names = list(SCALINGS)
    most = 1
    for (name, n_atoms), part in gains.items():
        counts = [row[name] for row in part]
        place = names.index(name)
        most = max(most, *counts)
        axes.plot(
            counts,
            [row["steps_per_s"] / part[0]["steps_per_s"] for row in part],
            color=CYCLE[place],
            marker=MARKERS[place],
            markerfacecolor="white" if n_atoms == sizes[0] else CYCLE[place],
            linestyle="--" if n_atoms == sizes[0] and len(sizes) > 1 else "-",
            label=f"{SCALINGS[name]}, {n_atoms} atoms",
        )
    axes.plot([1, most], [1, most], color=MUTED, linewidth=0.8, zorder=0)
    axes.set(xlabel="threads, ranks or runs", ylabel="steps/s in all, against one")
    ticks = sorted({row[name] for (name, _), part in gains.items() for row in part})
    axes.set_xticks(ticks, [f"{tick}" for tick in ticks])
    axes.legend(fontsize=6.5)
