"""The results of the load campaigns as a JSON document with stable keys, and its file.

Like the document of the benchmarks, it contains no paths and no host names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict, cast

from bench.contenders import BENCH
from bench.cores import Cores
from bench.load.campaigns import Campaign
from bench.load.figures import Figure
from bench.record import machine, versions

LATEST = BENCH / "results" / "load.json"


class FigureResult(TypedDict):
    """A figure with its limits; `reached` says whether it is within them, None without limits."""

    name: str
    value: float
    unit: str
    at_most: float | None
    at_least: float | None
    reached: bool | None


class CampaignResult(TypedDict):
    """The figures of one campaign, or its error."""

    title: str
    note: str
    seconds: int
    figures: list[FigureResult]
    error: str | None


class Document(TypedDict):
    """A whole run."""

    machine: dict[str, str | int | bool]
    versions: dict[str, str | None]
    campaigns: dict[str, CampaignResult]


def campaign_result(campaign: Campaign, figures: Sequence[Figure], seconds: float, error: str | None) -> CampaignResult:
    """The result of one campaign."""
    return {
        "title": campaign.title,
        "note": campaign.note,
        "seconds": round(seconds),
        "figures": [figure_result(figure) for figure in figures],
        "error": error,
    }


def figure_result(figure: Figure) -> FigureResult:
    """A figure in the form of the document."""
    return {
        "name": figure.name,
        "value": figure.value,
        "unit": figure.unit,
        "at_most": figure.at_most,
        "at_least": figure.at_least,
        "reached": figure.reached,
    }


def document(campaigns: Mapping[str, CampaignResult], cores: Cores) -> Document:
    """The document of a run."""
    ours = {name: version for name, version in versions().items() if not name.startswith("@") and name != "node"}
    return {"machine": machine(cores), "versions": ours, "campaigns": dict(campaigns)}


def all_reached(results: Document) -> bool:
    """Whether every campaign ran and reached its targets."""
    return not any(
        campaign["error"] or any(figure["reached"] is False for figure in campaign["figures"])
        for campaign in results["campaigns"].values()
    )


def save(results: Document, path: Path) -> None:
    """Write a document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")


def load(path: Path) -> Document:
    """Read a document back."""
    return cast(Document, json.loads(path.read_text()))
