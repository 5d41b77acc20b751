"""The store process: shared by the servers of a user, started on demand, safe against kills, for its user only."""

import os
import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import anyio
import httpx
import pytest

from tests.support.deadlines import LOOK_AGAIN, PATIENCE, eventually, wait_until
from tests.support.envelopes import request, stateless_headers, stateless_params
from tests.support.otlp_senders import exporters, send_everything
from tests.support.processes import NO_TLS, HttpServer, child, http_server
from tests.support.stdio_client import stdio_client
from tests.support.store_kills import kill_while_sending
from tests.support.telemetry_stores import ALL, EVER, telemetry_store
from tfo_mcp.domain.errors import OperationFailed, StateUnavailable
from tfo_mcp.infrastructure.telemetry_store.client import StoreClient
from tfo_mcp.infrastructure.telemetry_store.launcher import StoreLauncher
from tfo_mcp.infrastructure.telemetry_store.places import StorePlaces, connect

KILLS = 5


def variables(home: Path) -> dict[str, str]:
    return {
        "XDG_STATE_HOME": str(home),
        "TELEMETRYFLOW_MCP_TELEMETRY_STORE": "",  # as a user has it
        "TELEMETRYFLOW_MCP_TELEMETRY_OTLP_HTTP_PORT": "0",
        "TELEMETRYFLOW_MCP_TELEMETRY_OTLP_GRPC_PORT": "0",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_BLRP_SCHEDULE_DELAY": "50",
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
    }


@contextmanager
def ended_store(places: StorePlaces) -> Iterator[StoreClient]:
    """End the store process of these files after the block."""
    client = StoreClient(places, lambda: None)

    async def end() -> None:
        await client.command("stop")

    try:
        yield client
    finally:
        anyio.run(end)
        wait_until(lambda: not places.socket.exists(), "the store has ended")


def test_servers_of_a_user_share_one_store_and_record_their_calls_in_it(tmp_path: Path) -> None:
    places = StorePlaces(tmp_path / "tfo-mcp" / "telemetry")
    with ExitStack() as stack:
        clients = [stack.enter_context(stdio_client(variables=variables(tmp_path))) for _ in range(2)]
        web = stack.enter_context(http_server(variables=variables(tmp_path)))
        wait_until(lambda: accepts(places), "the store answers")
        store = stack.enter_context(ended_store(places))
        for client in clients:
            client.call_stateless("tools/list")
        call_over_http(web)
        anyio.run(await_own_telemetry, store)
        (summary,) = anyio.run(store.services, EVER)
        assert summary.name == "tfo-mcp"
        assert (places.socket.stat().st_mode & 0o777, places.database.stat().st_mode & 0o777) == (0o600, 0o600)


async def await_own_telemetry(store: StoreClient) -> None:
    """Wait for spans of three servers, metrics and logs."""
    with anyio.fail_after(2 * PATIENCE):
        while await transports_of_servers(store) != ["pipe", "pipe", "tcp"]:
            await anyio.sleep(LOOK_AGAIN)
        while not ((await store.status()).points and (await store.status()).logs):
            await anyio.sleep(LOOK_AGAIN)


async def transports_of_servers(store: StoreClient) -> list[str]:
    spans = await store.spans(ALL, order="latest", limit=1000)
    found = {(str(span.resource["service.instance.id"]), str(span.attributes["network.transport"])) for span in spans}
    return sorted(transport for _, transport in found)


def accepts(places: StorePlaces) -> bool:
    try:
        connect(places).close()
    except OSError:
        return False
    return True


def call_over_http(server: HttpServer) -> None:
    body = request(1, "tools/list", stateless_params())
    answer = httpx.post(server.url, json=body, headers=stateless_headers(body), verify=NO_TLS)
    answer.raise_for_status()


def test_nothing_acknowledged_is_lost_when_the_store_is_killed_while_programs_send(tmp_path: Path) -> None:
    acknowledged, stored = kill_while_sending(tmp_path, KILLS)
    assert acknowledged
    assert acknowledged <= stored


def test_a_client_starts_the_store_and_starts_it_again_after_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables(tmp_path).items():
        monkeypatch.setenv(name, value)
    places = StorePlaces(tmp_path / "tfo-mcp" / "telemetry")
    client = StoreClient(places, StoreLauncher(places, None))

    async def ask() -> None:
        (pid, _), _ = await client.command("process")
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: not accepts(places), "the store has ended")
        (other, _), _ = await client.command("process")
        assert other != pid

    with ended_store(places):
        anyio.run(ask)


def test_a_store_that_does_not_run_is_reported_as_such(tmp_path: Path) -> None:
    client = StoreClient(StorePlaces(tmp_path), refuse)
    with pytest.raises(StateUnavailable, match="telemetry store"):
        anyio.run(lambda: client.services(EVER))


def refuse() -> None:
    raise StateUnavailable("The telemetry store does not start")


def test_ports_in_use_are_replaced_and_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        taken = [listener.getsockname()[1] for listener in (one, other)]
        with telemetry_store({"otlp_http_port": taken[0], "otlp_grpc_port": taken[1]}) as store:
            assert [
                f"Port {port} was in use" in notice for port, notice in zip(taken, store.status.notices, strict=True)
            ]
            trace_id = send_everything("moved", *exporters("http", store.http))
            send_everything("moved", *exporters("grpc", store.grpc))
            assert store.ask(lambda client: client.trace(trace_id, 5)).total == 2


def test_a_second_process_leaves_the_store_to_the_first() -> None:
    with (
        telemetry_store() as store,
        child(["telemetry", "serve"], variables={"XDG_STATE_HOME": str(store.home)}) as late,
    ):
        assert late.wait() == 0
        assert store.ask(lambda client: client.status()).spans == 0


def test_the_process_ends_when_it_is_idle() -> None:
    with telemetry_store({"store_idle_seconds": 0.2}) as store:
        assert store.process.wait() == 0
        assert not store.places.socket.exists()


def test_a_linked_database_file_is_refused(tmp_path: Path) -> None:
    places = StorePlaces(tmp_path / "tfo-mcp" / "telemetry")
    places.directory.mkdir(parents=True, mode=0o700)
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    places.database.symlink_to(target)
    with child(["telemetry", "serve"], variables={"XDG_STATE_HOME": str(tmp_path)}) as refused:
        assert refused.wait() == 2
        assert "must be a regular file, not a link" in refused.stderr()
    assert target.read_bytes() == b"precious"


def test_frames_that_are_no_requests_end_their_connection_only() -> None:
    with telemetry_store() as store:
        for hostile in (b"\xff" * 8, b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\2\0\0\0\0[]", b"\0\0\0\4\0\0\0\0nope"):
            with connect(store.places) as connection:
                connection.sendall(hostile)
                assert connection.recv(1) == b""
        with pytest.raises(OperationFailed, match="no method"):
            store.ask(lambda client: client.command("__class__"))
        assert stat.S_ISSOCK(store.places.socket.stat().st_mode)
        assert store.ask(lambda client: client.status()).spans == 0
