"""Formats the results of the campaigns as a table, for a terminal or in Markdown."""

from __future__ import annotations

from textwrap import wrap

from bench.load.record import CampaignResult, Document, FigureResult

HEAD = ["Campaign", "figure", "found", "unit", "target", "verdict"]
NUMBERS = (2,)
NOTE_WIDTH = 118


def cells(results: Document) -> list[list[str]]:
    """The table: its head and its lines."""
    return [HEAD, *(line for name, campaign in results["campaigns"].items() for line in lines(name, campaign))]


def lines(name: str, campaign: CampaignResult) -> list[list[str]]:
    """The lines of one campaign."""
    if campaign["error"] is not None:
        return [[name, campaign["title"], "", "", "", "FAILED"]]
    found = [["", f"  {figure['name']}", *said(figure)] for figure in campaign["figures"]]
    return [[name, campaign["title"], "", "", "", ""], *found]


def said(figure: FigureResult) -> list[str]:
    """A figure, its unit, its target and the verdict."""
    limits = [f">= {number(figure['at_least'])}" if figure["at_least"] is not None else ""]
    limits += [f"<= {number(figure['at_most'])}" if figure["at_most"] is not None else ""]
    verdict = {True: "reached", False: "MISSED", None: ""}[figure["reached"]]
    return [number(figure["value"]), figure["unit"], ", ".join(filter(None, limits)), verdict]


def number(value: float) -> str:
    """A figure with thousands separators."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,}"


def table(results: Document) -> str:
    """The table for a terminal, with notes below it."""
    rows = cells(results)
    widths = [max(len(row[position]) for row in rows) for position in range(len(HEAD))]
    shown = [
        "  ".join(
            cell.rjust(width) if position in NUMBERS else cell.ljust(width)
            for position, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    shown.insert(1, "-" * max(len(row) for row in shown))
    told = [line for note in notes(results) for line in wrap(note, NOTE_WIDTH, subsequent_indent="  ")]
    return "\n".join([*shown, "", *told])


def markdown(results: Document) -> str:
    """The table in Markdown, with the notes below it."""
    align = [":--", ":--", "--:", ":--", ":--", ":--"]
    body = ["| " + " | ".join(cell.strip() for cell in row) + " |" for row in [HEAD, align, *cells(results)[1:]]]
    return "\n".join([*body, *(f"\n{note}" for note in notes(results))])


def notes(results: Document) -> list[str]:
    """The notes and the errors of the campaigns."""
    found = []
    for name, campaign in results["campaigns"].items():
        found.append(f"{name}: {campaign['note']}")
        if campaign["error"] is not None:
            found.append(f"{name} FAILED: {campaign['error']}")
    return found
