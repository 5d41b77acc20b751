"""Shows the results of a run as a table, for a terminal or in Markdown.

One line per row: the median of each contender, then each target with the measured ratio. For memory and start-up,
smaller is better; for all other figures, greater is better.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.contenders import PEERS, Contender
from bench.record import Document, RowResult, Verdict, ratio_to

COLUMNS = (Contender.PRODUCT, Contender.BEFORE, Contender.BASELINE, *PEERS)
LETTERS = {Contender.BEFORE: "before", Contender.BASELINE: "baseline", **{peer: peer.label[:3] for peer in PEERS}}
BUSY_GENERATOR = 0.9


def cells(results: Document) -> list[list[str]]:
    """The table: its head and its lines."""
    shown = columns(results)
    head = ["What", "unit", *(column.label for column in shown), "ratio to", "targets"]
    return [head, *(line(row, shown) for row in results["rows"].values())]


def columns(results: Document) -> list[Contender]:
    """The contenders that have a column: another checkout only if it was measured."""
    measured = {name for row in results["rows"].values() for name in (*row["figures"], *row["errors"])}
    return [one for one in COLUMNS if one is not Contender.BEFORE or one.value in measured]


def line(row: RowResult, columns: Sequence[Contender]) -> list[str]:
    """One line of the table."""
    figures = row["figures"]
    shown = [
        number(figures[column.value]["median"])
        if column.value in figures
        else "failed"
        if column.value in row["errors"]
        else ""
        for column in columns
    ]
    ratios = {LETTERS[peer]: ratio_to(figures, peer.value) for peer in (Contender.BEFORE, *PEERS)}
    against_peers = ", ".join(f"{letter} {ratio:.2f}" for letter, ratio in ratios.items() if ratio is not None)
    targets = "; ".join(verdict(target) for target in row["targets"])
    return [row["title"], row["unit"], *shown, against_peers, targets]


def number(value: float) -> str:
    """A figure with a readable number of digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def verdict(target: Verdict) -> str:
    """A target and whether it was reached."""
    against = LETTERS[Contender(target["against"])]
    wanted = f"{target['relation']} {target['factor']:.3g} x {against}"
    if target["ratio"] is None:
        return f"{wanted}: not measured"
    return f"{wanted}: {target['ratio']:.2f} {'reached' if target['reached'] else 'MISSED'}"


def table(results: Document) -> str:
    """The table for a terminal, with notes below it."""
    lines = cells(results)
    widths = [max(len(line[position]) for line in lines) for position in range(len(lines[0]))]
    numbers = range(2, 2 + len(columns(results)))
    shown = [
        "  ".join(
            cell.rjust(width) if position in numbers else cell.ljust(width)
            for position, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    shown.insert(1, "-" * max(len(line) for line in shown))
    return "\n".join([*shown, *notes(results)])


def markdown(results: Document) -> str:
    """The table in Markdown, with the machine and the versions above it."""
    lines = cells(results)
    align = [":--", ":--", *["--:"] * len(columns(results)), ":--", ":--"]
    body = ["| " + " | ".join(line) + " |" for line in [lines[0], align, *lines[1:]]]
    return "\n".join([conditions(results), "", *body, *(f"\n{note}" for note in notes(results))])


def conditions(results: Document) -> str:
    """One paragraph about the machine, the versions and the pace of the measurements."""
    machine, pace = results["machine"], results["pace"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items() if version)
    return (
        f"One core of {machine['processor']}, Python {machine['python']}, {versions}. Medians of "
        f"{pace['rounds']:g} alternating rounds of {pace['sample_seconds']:g} s."
    )


def notes(results: Document) -> list[str]:
    """Notes on the figures: a shared core, a busy generator, and errors."""
    found = []
    if not results["machine"]["generator_on_its_own_core"]:
        found.append("The generator shared its core with the servers: the figures are low.")
    for name, row in results["rows"].items():
        busy = [who for who, figure in row["figures"].items() if figure["generator_share"] > BUSY_GENERATOR]
        if busy:
            found.append(f"{name}: the generator was busy all the time with {', '.join(busy)}, which may be faster.")
        found += [f"{name}, {who}: {error}" for who, error in row["errors"].items()]
    return found
