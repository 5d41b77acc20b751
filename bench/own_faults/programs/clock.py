"""The wall clock of a service, which a switch moves, as a machine's clock is wrong: for spans, log records and code."""

import time

import opentelemetry.sdk.trace

from bench.own_faults.programs.switches import switch

_time, _time_ns = time.time, time.time_ns


def skewed_time_ns() -> int:
    """Return the time of the wrong clock in nanoseconds."""
    return _time_ns() + round(float(switch("clock", 0.0)) * 1e9)


def install() -> None:
    """Let everything in this process read the wrong clock."""
    time.time_ns = skewed_time_ns
    time.time = lambda: _time() + float(switch("clock", 0.0))
    opentelemetry.sdk.trace.time_ns = skewed_time_ns  # type: ignore[attr-defined]  # bound before this program ran
