"""A site: starts the servers of one contender for one row, and returns their endpoints and clients.

The servers stop when the stack of the site closes.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.collector import Collector
from bench.contenders import (
    Contender,
    Plugins,
    Transport,
    command,
    files_command,
    guarded_command,
    observed_command,
    observed_variables,
    shop_command,
)
from bench.cores import Cores
from bench.http_endpoint import Endpoint
from bench.messages import Era, Message, call, check_call
from bench.server_process import free_port, running, wait_until_it_listens
from bench.shop_api import catalog
from bench.stdio_client import StdioClient
from tests.support.redis_server import redis_server

ECHO = call(Era.HANDSHAKE, "echo")


State = Callable[[], AbstractContextManager[Mapping[str, str]]]
"""Starts services that hold state, and yields the environment variables of a server that uses them."""


class Site:
    """Starts servers of one contender."""

    def __init__(self, contender: Contender, cores: Cores, stack: ExitStack) -> None:
        self.contender = contender
        self.cores = cores
        self._stack = stack

    def another(self, stack: ExitStack) -> Site:
        """A site for the same contender whose servers stop when `stack` closes."""
        return Site(self.contender, self.cores, stack)

    def http(self, *, tools: int = 0, plugins: Plugins = Plugins.NONE) -> Endpoint:
        """Start an HTTP server and wait until it is ready; return its endpoint."""
        return self.http_process(tools=tools, plugins=plugins)[0]

    def guarded(self, *, sample_ratio: float | None = None) -> Endpoint:
        """Start the product with keys, scopes, limits and audit; return its endpoint for a caller with a key.

        Args:
            sample_ratio: the fraction of the traces that it exports, with all metrics; None to export nothing.
        """
        variables: Mapping[str, str] = {}
        if sample_ratio is not None:
            variables = observed_variables(self._stack.enter_context(Collector.TAKES.running()), sample_ratio)
        state = Path(self._stack.enter_context(TemporaryDirectory(prefix="tfo-bench-")))
        port = free_port()
        started, key = guarded_command(self.contender.checkout, port, state, variables)
        process = self._stack.enter_context(running(started, self.cores))
        wait_until_it_listens(process, port)
        endpoint = Endpoint(port, key)
        endpoint.sessions(1)
        return endpoint

    def observed(self, collector: Collector, sample_ratio: float) -> Endpoint:
        """Start the product with telemetry to a collector of this kind, and return its endpoint."""
        where = self._stack.enter_context(collector.running())
        port = free_port()
        started = observed_command(self.contender.checkout, port, where, sample_ratio)
        process = self._stack.enter_context(running(started, self.cores))
        wait_until_it_listens(process, port)
        endpoint = Endpoint(port)
        endpoint.sessions(1)
        return endpoint

    def with_state(self, state: State, variables: Mapping[str, str] = {}, *, all_cores: bool = False) -> Endpoint:
        """Start the product with this state and further environment variables, and return its endpoint.

        Args:
            all_cores: whether its processes may use the generator's core, too.
        """
        port = free_port()
        given = {**self._stack.enter_context(state()), **variables}
        started = command(self.contender, port)
        started = replace(started, environment={**started.environment, **given})
        process = self._stack.enter_context(running(started, self.cores, all_cores=all_cores))
        wait_until_it_listens(process, port)
        endpoint = Endpoint(port)
        endpoint.sessions(1)
        return endpoint

    def shop(self) -> Endpoint:
        """Start an HTTP server with the tools of the shop workload, a Redis and the catalog; return its endpoint."""
        redis = self._stack.enter_context(redis_server())
        services = {"BENCH_REDIS_URL": redis.url, "BENCH_API_URL": self._stack.enter_context(catalog())}
        port = free_port()
        process = self._stack.enter_context(running(shop_command(self.contender, port, services), self.cores))
        wait_until_it_listens(process, port)
        return Endpoint(port)

    def http_process(
        self, *, tools: int = 0, plugins: Plugins = Plugins.NONE
    ) -> tuple[Endpoint, subprocess.Popen[bytes]]:
        """Start an HTTP server like `http`; return its endpoint and its process."""
        port = free_port()
        started = command(self.contender, port, tools=tools, plugins=plugins)
        process = self._stack.enter_context(running(started, self.cores))
        wait_until_it_listens(process, port)
        endpoint = Endpoint(port)
        endpoint.sessions(1)
        return endpoint, process

    def port(self, transport: Transport) -> int:
        """Start a server on a transport other than Streamable HTTP; return its port when it listens."""
        port = free_port()
        process = self._stack.enter_context(running(command(self.contender, port, transport=transport), self.cores))
        wait_until_it_listens(process, port)
        return port

    def stdio(
        self,
        message: Message = ECHO,
        check: Callable[[Message, int], None] = check_call,
        files: Path | None = None,
        *,
        tools: int = 0,
        plugins: Plugins = Plugins.NONE,
    ) -> StdioClient:
        """Start a stdio server, and return its client when the server has answered `initialize`.

        Args:
            message: the request that the client repeats.
            check: checks a response to it.
            files: directory whose files the server serves, if any.
            tools: number of additional tools.
            plugins: the product's configuration.
        """
        if files is None:
            start = command(self.contender, None, tools=tools, plugins=plugins)
        else:
            start = files_command(self.contender, files)
        process = self._stack.enter_context(running(start, self.cores))
        client = StdioClient(process, message, check)
        client.initialize()
        return client
