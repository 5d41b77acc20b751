"""One row of the table: what is measured, the contenders, and the target ratios."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.contenders import Contender
from bench.generator import Sample
from bench.site import Site

Sampler = Callable[[float], Sample]


@dataclass(frozen=True, slots=True)
class Target:
    """A limit for the ratio of the product's figure to another's: at least or at most a factor."""

    against: Contender
    factor: float
    at_least: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    title: str
    unit: str
    contenders: tuple[Contender, ...]
    targets: tuple[Target, ...]
    prepare: Callable[[Site], Sampler]
    warm_up: bool = True
    rounds_at_most: int = 9

    @property
    def everybody(self) -> tuple[Contender, ...]:
        """The contenders, with the product of another checkout after the product."""
        return (self.contenders[0], Contender.BEFORE, *self.contenders[1:])
