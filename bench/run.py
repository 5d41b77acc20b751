"""Runs rows: prepares every contender, warms it up, and samples the contenders in turn, in several rounds.

Alternating rounds distribute other load of the machine over all contenders; the figure is the median of the rounds.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from bench.contenders import Contender
from bench.cores import Cores
from bench.errors import BenchError
from bench.generator import Sample
from bench.row import Row, Sampler
from bench.site import Site


@dataclass(frozen=True, slots=True)
class Pace:
    """The number of rounds, the seconds of a sample and of a warm-up, and the time limit of the whole run."""

    rounds: int
    sample_seconds: float
    warm_up_seconds: float
    limit_seconds: float


FULL = Pace(rounds=5, sample_seconds=1.0, warm_up_seconds=1.0, limit_seconds=1500)
QUICK = Pace(rounds=2, sample_seconds=0.25, warm_up_seconds=0.2, limit_seconds=240)


@dataclass(slots=True)
class Lane:
    """One contender of a row: its servers, its sampler, and its samples so far or its error."""

    contender: Contender
    stack: ExitStack
    sampler: Sampler | None = None
    samples: list[Sample] = field(default_factory=list)
    error: str | None = None

    def prepare(self, row: Row, cores: Cores, warm_up_seconds: float) -> None:
        """Start the servers and warm them up."""
        try:
            self.sampler = row.prepare(Site(self.contender, cores, self.stack))
            if row.warm_up:
                self.sampler(warm_up_seconds * self.contender.warm_up_factor)
        except (BenchError, OSError) as error:
            self._give_up(error)

    def sample(self, seconds: float) -> None:
        """Take one sample; a no-op if this contender has failed."""
        if self.sampler is None or self.error is not None:
            return
        try:
            self.samples.append(self.sampler(seconds))
        except (BenchError, OSError) as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """Record the error and stop the servers, which adds the end of their log to it."""
        self.error = reason(error)
        try:
            with self.stack:
                raise error
        except (BenchError, OSError) as detailed:
            self.error = reason(detailed)
        print(f"  {self.contender}: {self.error}", file=sys.stderr)


def reason(error: Exception) -> str:
    """The message of an error, without the paths in errors of the system."""
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)


def run_row(row: Row, contenders: Collection[Contender], cores: Cores, pace: Pace) -> list[Lane]:
    """Measure one row; the order of the contenders rotates from round to round."""
    with ExitStack() as stack:
        lanes = [Lane(one, stack.enter_context(ExitStack())) for one in row.everybody if one in contenders]
        for lane in lanes:
            lane.prepare(row, cores, pace.warm_up_seconds)
        for turn in range(min(pace.rounds, row.rounds_at_most)):
            first = turn % len(lanes)
            for lane in [*lanes[first:], *lanes[:first]]:
                lane.sample(pace.sample_seconds)
                gc.collect()
        return lanes


def run_rows(rows: Sequence[Row], contenders: Collection[Contender], cores: Cores, pace: Pace) -> dict[str, list[Lane]]:
    """Measure rows one after the other; skip the rest when the time limit of the run is over."""
    begin = time.monotonic()
    cores.pin_generator()
    gc.freeze()
    measured: dict[str, list[Lane]] = {}
    for position, row in enumerate(rows, 1):
        passed = time.monotonic() - begin
        if passed > pace.limit_seconds:
            print(f"no time left for {row.name} and what follows it", file=sys.stderr)
            break
        print(f"[{position}/{len(rows)}] {passed:4.0f} s  {row.name}", file=sys.stderr)
        if any(one in contenders for one in row.everybody):
            measured[row.name] = run_row(row, contenders, cores, pace)
    return measured
