"""The figures of a campaign, and their limits."""

from __future__ import annotations

from dataclasses import dataclass

from bench.load.memory import MIB


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure in its unit; without limits it is for information only."""

    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def reached(self) -> bool | None:
        """Whether it is within its limits; None without any."""
        if self.at_most is None and self.at_least is None:
            return None
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )


def memory(name: str, size: float) -> Figure:
    """An amount of memory, for information."""
    return Figure(name, round(size / MIB, 1), "MiB")


def growth(name: str, before: float, after: float, at_most: float) -> Figure:
    """The growth of memory in per cent, with its limit."""
    return Figure(name, round((after / before - 1) * 100, 1) + 0.0, "%", at_most=at_most)  # no -0.0
