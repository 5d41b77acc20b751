"""Runs the hostile client as a separate process, so that it and the measuring clients do not block each other."""

from __future__ import annotations

import http.client
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.context import SpawnProcess

from bench.errors import BenchError
from bench.load.hostile.kinds import Attack
from bench.load.hostile.target import Target

NICENESS = 5  # the measuring clients share its core
AGAIN_SECONDS = 0.1


@contextmanager
def hostile_client(attack: Attack, target: Target) -> Iterator[SpawnProcess]:
    """Attack during the block; at its end the hostile client is killed, which closes its connections.

    Raises:
        BenchError: the attack itself failed, or has not connected.
    """
    process = multiprocessing.get_context("spawn").Process(target=carry_out, args=(attack, target), daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()
    if process.exitcode is not None and process.exitcode > 0:
        raise BenchError(f"the hostile client failed ({process.exitcode})")
    if not target.counter.connections.value:
        raise BenchError("the hostile client did not begin")


def carry_out(attack: Attack, target: Target) -> None:
    """Run an attack until its time is over, and restart it if the server breaks its connections."""
    os.nice(NICENESS)
    deadline = target.deadline()
    while (left := deadline - time.monotonic()) > 0:
        try:
            attack(replace(target, seconds=left))
        except (OSError, http.client.HTTPException):
            time.sleep(AGAIN_SECONDS)
