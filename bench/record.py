"""The results of a run as a JSON document with stable keys, and its file.

The document contains the figures, the kind of machine and the versions; it contains no paths and no host names.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import TypedDict, cast

from bench.contenders import BENCH, TYPESCRIPT
from bench.cores import Cores
from bench.row import Row
from bench.rows import PRODUCT
from bench.run import Lane, Pace

LATEST = BENCH / "results" / "latest.json"
PACKAGES = ("tfo-mcp", "mcp", "uvicorn", "uvloop", "httptools")
NPM_PACKAGES = (
    "@modelcontextprotocol/server",
    "@modelcontextprotocol/server-filesystem",
    "@modelcontextprotocol/node",
    "node",
)


class Figure(TypedDict):
    """A contender's samples in the order of the rounds, and the highest load of the generator (1.0 is a full core)."""

    median: float
    samples: list[float]
    generator_share: float


class Verdict(TypedDict):
    """A target: the ratio of the product's figure to another's, and whether it reaches the target."""

    against: str
    relation: str
    factor: float
    ratio: float | None
    reached: bool | None


class RowResult(TypedDict):
    """One line of the table."""

    title: str
    unit: str
    figures: dict[str, Figure]
    targets: list[Verdict]
    errors: dict[str, str]


class Document(TypedDict):
    """A whole run."""

    machine: dict[str, str | int | bool]
    versions: dict[str, str | None]
    pace: dict[str, float]
    rows: dict[str, RowResult]


def document(rows: Sequence[Row], measured: Mapping[str, list[Lane]], cores: Cores, pace: Pace) -> Document:
    """The document of a run."""
    return {
        "machine": machine(cores),
        "versions": versions(),
        "pace": {"rounds": pace.rounds, "sample_seconds": pace.sample_seconds},
        "rows": {row.name: row_result(row, measured[row.name]) for row in rows if row.name in measured},
    }


def row_result(row: Row, lanes: Sequence[Lane]) -> RowResult:
    """The figures of a row and the verdicts on its targets."""
    figures = {lane.contender.value: figure(lane) for lane in lanes if lane.samples and lane.error is None}
    targets: list[Verdict] = []
    for target in row.targets:
        ratio = ratio_to(figures, target.against.value)
        reached = None if ratio is None else ratio >= target.factor if target.at_least else ratio <= target.factor
        targets.append(
            {
                "against": target.against.value,
                "relation": ">=" if target.at_least else "<=",
                "factor": target.factor,
                "ratio": ratio,
                "reached": reached,
            }
        )
    errors = {lane.contender.value: lane.error.splitlines()[0] for lane in lanes if lane.error}
    return {"title": row.title, "unit": row.unit, "figures": figures, "targets": targets, "errors": errors}


def figure(lane: Lane) -> Figure:
    """A contender's figure."""
    samples = [round(sample.figure, 2) for sample in lane.samples]
    share = max(sample.generator_share for sample in lane.samples)
    return {"median": round(median(samples), 2), "samples": samples, "generator_share": round(share, 2)}


def ratio_to(figures: Mapping[str, Figure], other: str) -> float | None:
    """The ratio of the product's figure to another's; None if one of them was not measured."""
    if PRODUCT.value not in figures or other not in figures:
        return None
    return round(figures[PRODUCT.value]["median"] / figures[other]["median"], 2)


def machine(cores: Cores) -> dict[str, str | int | bool]:
    """The kind of this machine."""
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return {
        "processor": found[1].strip() if found else platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "generator_on_its_own_core": cores.apart,
    }


def versions() -> dict[str, str | None]:
    """The versions of the product and of the compared packages; None for a package that is not installed."""
    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    for name in NPM_PACKAGES:
        package = TYPESCRIPT / "node_modules" / name / "package.json"
        found[name] = str(json.loads(package.read_text())["version"]) if package.exists() else None
    return found


def save(results: Document, path: Path) -> None:
    """Write a document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")


def load(path: Path) -> Document:
    """Read a document back."""
    return cast(Document, json.loads(path.read_text()))
