"""`python -m bench.claude_streams`: conversations that stream at once in one server, and how soon their text arrives.

A local Messages API plays the model. Measures the memory per open stream, the time from a delta leaving the API to its
arrival at the client, and the time from a client's disconnection to the end of the request to the API.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from threading import Event

import httpx
import psutil

from bench.load.memory import KIB
from tests.support.deadlines import wait_until
from tests.support.envelopes import request, stateless_headers, stateless_params
from tests.support.messages_api import Fault, MessagesApi, messages_api
from tests.support.processes import HttpServer, http_server

STREAMS = 100
SINGLE = 30
KEY = "sk-ant-bench"
TEXT = "Once upon a time there was a server"
PAUSE_AFTER = 4  # events: the message has begun, and its first delta has left
WARM_UP = 10
REST_SECONDS = 3.0


def main() -> int:
    """Measure, and print the figures; return 1 if a target was missed."""
    with tempfile.TemporaryDirectory() as place, messages_api(KEY) as api:
        settings = {
            "claude": {"api_key": KEY, "base_url": api.url, "silence_seconds": 300},
            "files": {"roots": [place]},
            "security": {"anonymous": "all", "audit_file": f"{place}/audit.jsonl"},
            "limits": {"calls_at_once": 0},
        }
        path = Path(place, "tfo-mcp.yaml")
        path.write_text(json.dumps(settings))
        with http_server(path) as server:
            return asyncio.run(measure(server, api))


async def measure(server: HttpServer, api: MessagesApi) -> int:
    """Measure one server."""
    limits = httpx.Limits(max_connections=2 * STREAMS)
    async with httpx.AsyncClient(base_url=server.origin, timeout=60, trust_env=False, limits=limits) as client:
        for _ in range(WARM_UP):
            await opened(client, api)
        latencies = [await opened(client, api) for _ in range(SINGLE)]
        before = await resident_bytes(server)
        together = await asyncio.gather(*(opened(client, api, hold=True) for _ in range(STREAMS)))
        held = await resident_bytes(server)
        assert api.open_streams == STREAMS, api.open_streams
        began = time.monotonic()
        for response, _ in HELD:
            await response.aclose()
        await asyncio.to_thread(wait_until, lambda: not api.open_streams, "all requests to the API have ended")
        closed = time.monotonic() - began
    print(
        f"first delta, one conversation: median {median(latencies) * 1e3:.1f} ms, worst {max(latencies) * 1e3:.1f} ms"
    )
    print(f"conversations that stream at once: {STREAMS}; all had text within {max(together):.2f} s of their call")
    print(f"memory per open stream: {(held - before) / STREAMS / KIB:.0f} KiB")
    print(f"from {STREAMS} disconnections to the end of all requests to the API: {closed:.2f} s")
    return int(median(latencies) > 0.05 or closed > 1)


async def resident_bytes(server: HttpServer) -> int:
    """Return the resident memory of the server after a moment of rest."""
    await asyncio.sleep(REST_SECONDS)
    return int(psutil.Process(server.child.process.pid).memory_info().rss)


HELD: list[tuple[httpx.Response, AsyncIterator[str]]] = []


async def opened(client: httpx.AsyncClient, api: MessagesApi, *, hold: bool = False) -> float:
    """Open a stream until its first text.

    Returns:
        Seconds from the delta leaving the API to its arrival, or, of a stream that is held, from its call.
    """
    until = Event()
    api.answer(TEXT, fault=Fault("pause", PAUSE_AFTER, until))
    params = stateless_params({"name": "claude_conversation", "arguments": {"message": "Tell me"}})
    params["_meta"] = {**params["_meta"], "progressToken": "text"}
    message = request(1, "tools/call", params)
    began = time.monotonic()
    sending = client.build_request("POST", "/mcp", json=message, headers=stateless_headers(message))
    response = await client.send(sending, stream=True)
    lines = response.aiter_lines()
    while "notifications/progress" not in await anext(lines):
        pass
    arrived = time.monotonic()
    if hold:
        HELD.append((response, lines))  # an iterator that is dropped closes its response
        return arrived - began
    left = api.sent_at[-1]
    until.set()
    async for _ in lines:
        pass
    await response.aclose()
    return arrived - left


if __name__ == "__main__":
    sys.exit(main())
