"""Where one contender of one row lives: starts its servers and hands out the means to talk to them.

A site belongs to one contender and one row; when it closes, its servers stop.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.collector import Collector
from bench.contenders import Contender, Plugins, Wire, command, files_command, guarded_command, observed_command
from bench.cores import Cores
from bench.http_endpoint import Endpoint
from bench.messages import Era, Message, call, check_call
from bench.server_process import free_port, running, wait_until_it_listens
from bench.stdio_client import StdioClient

ECHO = call(Era.HANDSHAKE, "echo")


class Site:
    """Starts servers of one contender."""

    def __init__(self, contender: Contender, cores: Cores, stack: ExitStack) -> None:
        self.contender = contender
        self.cores = cores
        self._stack = stack

    def another(self, stack: ExitStack) -> Site:
        """A site for the same contender whose servers stop with `stack`."""
        return Site(self.contender, self.cores, stack)

    def http(self, *, tools: int = 0, plugins: Plugins = Plugins.NONE) -> Endpoint:
        """Start an HTTP server and wait until it serves."""
        return self.http_process(tools=tools, plugins=plugins)[0]

    def guarded(self) -> Endpoint:
        """Start the product with keys, scopes, limits and audit, and return its endpoint for one who has a key."""
        state = Path(self._stack.enter_context(TemporaryDirectory(prefix="tfo-bench-")))
        port = free_port()
        started, key = guarded_command(self.contender.checkout, port, state)
        process = self._stack.enter_context(running(started, self.cores))
        wait_until_it_listens(process, port)
        endpoint = Endpoint(port, key)
        endpoint.sessions(1)
        return endpoint

    def observed(self, collector: Collector, sample_ratio: float) -> Endpoint:
        """Start the product with telemetry, whose collector is of that kind, and return its endpoint."""
        where = self._stack.enter_context(collector.running())
        port = free_port()
        started = observed_command(self.contender.checkout, port, where, sample_ratio)
        process = self._stack.enter_context(running(started, self.cores))
        wait_until_it_listens(process, port)
        endpoint = Endpoint(port)
        endpoint.sessions(1)
        return endpoint

    def http_process(
        self, *, tools: int = 0, plugins: Plugins = Plugins.NONE
    ) -> tuple[Endpoint, subprocess.Popen[bytes]]:
        """The same, with the process."""
        port = free_port()
        started = command(self.contender, port, tools=tools, plugins=plugins)
        process = self._stack.enter_context(running(started, self.cores))
        wait_until_it_listens(process, port)
        endpoint = Endpoint(port)
        endpoint.sessions(1)
        return endpoint, process

    def port(self, wire: Wire) -> int:
        """Start a server on another wire than Streamable HTTP; return its port when it listens."""
        port = free_port()
        process = self._stack.enter_context(running(command(self.contender, port, wire=wire), self.cores))
        wait_until_it_listens(process, port)
        return port

    def stdio(
        self, message: Message = ECHO, check: Callable[[Message, int], None] = check_call, files: Path | None = None
    ) -> StdioClient:
        """Start a stdio server, of a directory's files if one is given; returns when it has answered `initialize`.

        Args:
            message: what the client sends again and again.
            check: checks an answer to it.
        """
        start = command(self.contender, None) if files is None else files_command(self.contender, files)
        process = self._stack.enter_context(running(start, self.cores))
        client = StdioClient(process, message, check)
        client.initialize()
        return client
