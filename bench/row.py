"""One row of the table: what is measured, of whom, and what the ratios have to be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.contenders import Contender
from bench.generator import Sample
from bench.site import Site

Sampler = Callable[[float], Sample]


@dataclass(frozen=True, slots=True)
class Target:
    """What the ratio of the product's figure to another's has to be: at least a factor, or at most."""

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
        """The contenders, and behind the product that of another checkout."""
        return (self.contenders[0], Contender.BEFORE, *self.contenders[1:])
