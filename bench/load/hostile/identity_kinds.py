"""Attacks with wrong credentials, and attacks that fill the audit log."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from itertools import count

from bench.load.hostile import payloads
from bench.load.hostile.player import WAIT, paced, play
from bench.load.hostile.target import Target

AT_ONCE = 5
TOOL_NAME = "t" * 5_000


def wrong_keys(target: Target) -> None:
    """Call with wrong keys and tokens, always different ones."""

    def script(number: int) -> Iterator[bytes]:
        for attempt in count(number * 1_000_000):
            yield b"".join(_ping(_wrong(number, attempt * AT_ONCE + one)) for one in range(AT_ONCE))
            yield WAIT

    play(target, 8, script)


def audited(target: Target) -> None:
    """Cause refusals that the audit log records: wrong keys, and calls of tools that the key does not allow."""
    assert target.key is not None
    own = {"Authorization": f"Bearer {target.key}"}
    refused = payloads.stateless_call("write_file", {"path": "x.txt", "content": "x" * 5_000}, own)
    unknown = payloads.stateless_call(TOOL_NAME, {}, own)
    kinds = (_ping(_wrong(0, 0)), refused, unknown, _ping(_wrong(1, 0)))
    play(target, 8, lambda number: paced(kinds[number % len(kinds)] * AT_ONCE))


def _ping(credentials: dict[str, str]) -> bytes:
    return payloads.stateless("server/discover", {}, credentials)


def _wrong(kind: int, number: int) -> dict[str, str]:
    """Return headers with invalid credentials, which differ by `number`."""
    claims = payloads.encode({"iss": "https://issuer.example", "sub": f"caller-{number}", "exp": 4_102_444_800})
    unsigned = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (b'{"alg":"none"}', claims, b""))
    choices = (
        {"Authorization": f"Bearer tfo_{number:012d}_{number:032d}_{number:06d}"},
        {"X-API-Key": f"tfo_{number:012d}_{number:032d}_{number:06d}"},
        {"Authorization": f"Bearer {unsigned.decode()}"},
        {"Authorization": f"Bearer {number}{'a' * 8_000}"},
    )
    return choices[kind % len(choices)]
