"""The documented deployments under attack: what is reachable without a key, and with keys of three kinds.

A desktop host's entry, `make run`, the layout of the systemd unit, and nginx with TLS: each is started as documented,
with a home and a state directory of its own. Attackers must not reach the server's keys, pepper, audit log and
configuration, nor files of the machine.
"""

import json
import shlex
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.e2e.attackers import (
    ALL_TOOLS,
    READ_TOOLS,
    READER,
    RUNNER,
    TOOLS_OF,
    WRITER,
    Attacker,
    Refused,
    http_attacker,
)
from tests.support.deadlines import PATIENCE
from tests.support.nginx import Nginx, nginx, self_signed
from tests.support.processes import (
    LOOPBACK,
    PROJECT,
    Child,
    HttpServer,
    await_health,
    child,
    command,
    environment,
    free_port,
)
from tests.support.stdio_client import StdioClient

FORWARDED = {"X-Forwarded-For": "203.0.113.7"}
OF_THE_MACHINE = (Path("/etc/shadow"), Path("/var/log"), Path("/var/lib"))
PUBLIC_NAME = "mcp.example.com"
Trust = ssl.SSLContext | Literal[False]
UNIT = PROJECT / "deploy" / "systemd" / "tfo-mcp.service"


@dataclass(frozen=True)
class Deployment:
    """A server that runs as the documentation describes.

    `state` is its state directory and `root` its file root. `private` lists files besides its state that it must not
    serve. `key_options` tell `tfo-mcp keys` where its keys are, in the environment `variables`.
    """

    state: Path
    root: Path
    private: Sequence[Path]
    variables: Mapping[str, str]
    server: HttpServer | None = None
    key_options: Sequence[str] = ()
    keys: dict[tuple[str, ...], str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        assert self.server is not None
        return self.server.origin

    def key(self, scopes: tuple[str, ...]) -> str:
        """Return a key with these scopes, the same each time."""
        if scopes not in self.keys:
            wanted = [argument for scope in scopes for argument in ("--scope", scope)]
            line = [*command(), "keys", "create", "--name", "x", *wanted, *self.key_options]
            done = subprocess.run(
                line,
                env=environment(self.variables),
                cwd=self.state.parent,
                capture_output=True,
                text=True,
                check=False,
                timeout=2 * PATIENCE,
            )
            assert done.returncode == 0, done.stderr
            self.keys[scopes] = done.stdout.splitlines()[-1]
        return self.keys[scopes]

    def own_files(self) -> list[Path]:
        """Return the server's own files, and check that they exist."""
        found = [self.state / name for name in ("keys.json", "keys.json.pepper", "audit.jsonl")]
        assert [path for path in (*found, *self.private) if not path.exists()] == []
        return [*found, *self.private]


def prepared(root: Path) -> Path:
    """Write a file into a root, and return the root."""
    (root / "notes.txt").write_text("read me")
    return root


def check_reach(attacker: Attacker, deployment: Deployment, tools: set[str]) -> None:
    """Check that a caller has exactly these tools, and reaches the root but nothing else with them."""
    assert attacker.tools() == tools
    kept = deployment.own_files()
    outside = [*kept, *OF_THE_MACHINE, deployment.state, deployment.root.parent]
    before = {path: path.read_bytes() for path in kept if path.is_file() and path.name != "audit.jsonl"}
    assert attacker.call("read_file", path="notes.txt") is not None
    assert attacker.reached(outside, deployment.root) == []
    if "write_file" in tools:
        assert attacker.call("write_file", path="made.txt", content="x") is not None
        assert attacker.changed(outside, deployment.root) == []
    if "execute_command" in tools:
        assert attacker.reached_by_command(outside, deployment.root) == []
        (deployment.root / "seen.txt").write_text("x")
        seen = attacker.reached_by_command([deployment.root / "seen.txt"], deployment.root)
        assert seen == [str(deployment.root / "seen.txt")]  # the attack moves the file before it tries other names
    assert {path: path.read_bytes() for path in before} == before
    assert [path for path in kept if path.with_name(f"{path.name}.made").exists()] == []
    assert (deployment.state / "audit.jsonl").exists()


def check_keys(deployment: Deployment, origin: str, trust: Trust = False) -> None:
    """Check the reach of a reader's, a writer's and a runner's key, and that a wrong key is refused."""
    for scopes in (READER, WRITER, RUNNER):
        with http_attacker(origin, deployment.key(scopes), trust) as attacker:
            check_reach(attacker, deployment, TOOLS_OF[scopes])
    wrong = deployment.key(READER)[:-8]
    with http_attacker(origin, wrong, trust) as attacker, pytest.raises(Refused, match="401"):
        attacker.tools()


def check_anonymous(deployment: Deployment) -> None:
    """Check the reach of callers on the same machine without a key."""
    deployment.key(READER)  # so that keys and audited decisions exist
    with http_attacker(deployment.origin, deployment.key(READER)) as attacker:
        assert attacker.tools() == READ_TOOLS
    with http_attacker(deployment.origin) as attacker:
        check_reach(attacker, deployment, READ_TOOLS)


def without_key(origin: str, headers: Mapping[str, str], trust: Trust = False) -> list[int]:
    """Return the status of each endpoint for a caller without a key."""
    with httpx.Client(base_url=origin, verify=trust, headers=headers, trust_env=False, timeout=PATIENCE) as client:
        statuses = [
            client.request(verb, path, json={}).status_code
            for verb, path in (("POST", "/mcp"), ("GET", "/mcp"), ("GET", "/sse"), ("POST", "/messages?session_id=x"))
        ]
    return [*statuses, websocket_status(origin, headers, trust)]


def websocket_status(origin: str, headers: Mapping[str, str], trust: Trust) -> int:
    try:
        with connect(
            origin.replace("http", "ws", 1) + "/ws",
            subprotocols=[Subprotocol("mcp")],
            additional_headers=dict(headers),
            proxy=None,
            open_timeout=PATIENCE,
            ssl=trust or None,
        ):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


@contextmanager
def started(line: Sequence[str], directory: Path, variables: Mapping[str, str], port: int) -> Iterator[HttpServer]:
    """Run a command line that serves a port until the end of the block."""
    with (directory / "stderr").open("wb") as sink:
        process = subprocess.Popen(
            line,
            cwd=directory,
            env=environment(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=sink,
        )
    server = HttpServer(Child(process, directory / "stderr"), port)
    try:
        await_health(server)
        yield server
    finally:
        server.child.stop()


@pytest.fixture
def desktop(tmp_path: Path) -> Iterator[tuple[Deployment, Attacker]]:
    home, project = tmp_path / "home", tmp_path / "home" / "project"
    for directory in (home / ".ssh", project / ".git"):
        directory.mkdir(parents=True)
    (home / ".ssh" / "id_ed25519").write_text("secret")
    variables = {"HOME": str(home), "XDG_STATE_HOME": "", "XDG_CONFIG_HOME": ""}
    line = [*command(), "install", "cursor"]
    subprocess.run(line, cwd=project, env=environment(variables), check=True, capture_output=True, timeout=2 * PATIENCE)
    host_file = home / ".cursor" / "mcp.json"
    entry = json.loads(host_file.read_text())["mcpServers"]["tfo-mcp"]
    assert entry["command"] == command()[0]
    private = [home / ".ssh" / "id_ed25519", home / ".ssh", home, host_file]
    deployment = Deployment(
        home / ".local" / "state" / "tfo-mcp", prepared(project), private, {**variables, **entry["env"]}
    )
    deployment.state.parent.mkdir(parents=True)
    deployment.key(READER)
    with child(entry["args"], pipes=True, directory=Path("/"), variables=deployment.variables) as running:
        client = StdioClient(running)
        yield deployment, Attacker(client.call_stateless)


class TestADesktopHost:
    def test_that_starts_the_installed_entry_anywhere_gets_the_project_and_nothing_else(
        self, desktop: tuple[Deployment, Attacker]
    ) -> None:
        deployment, attacker = desktop
        check_reach(attacker, deployment, ALL_TOOLS)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The server that the Makefile runs in a checkout, on another port."""
    place, port = tmp_path_factory.mktemp("run"), free_port()
    checkout = place / "checkout"
    for directory in ("home", "state", "checkout"):
        (place / directory).mkdir()
    for name in ("Makefile", "tfo-mcp.yaml", "README.md", "pyproject.toml"):
        shutil.copy(PROJECT / name, checkout)
    (checkout / ".venv").symlink_to(Path(sys.executable).parents[1])
    variables = {
        "HOME": str(place / "home"),
        "XDG_STATE_HOME": str(place / "state"),
        "TELEMETRYFLOW_MCP_SERVER_PORT": str(port),
    }
    line = ["make", "--silent", "--dry-run", "--old-file=.venv/.installed", "run"]
    recipe = subprocess.run(line, cwd=checkout, check=True, capture_output=True, text=True).stdout
    script = recipe.replace("&& ", "&& exec ")  # the shell process becomes the server, so that its id can be signalled
    with started(["/bin/sh", "-ec", script], checkout, variables, port) as server:
        private = [*(checkout / name for name in ("tfo-mcp.yaml", "README.md")), PROJECT / "README.md", PROJECT / "app"]
        yield Deployment(place / "state" / "tfo-mcp", prepared(checkout / "workspace"), private, variables, server)


class TestMakeRun:
    def test_serves_its_workspace_for_reading_without_a_key_and_not_the_checkout(self, run: Deployment) -> None:
        check_anonymous(run)

    def test_serves_no_more_than_that_with_keys(self, run: Deployment) -> None:
        check_keys(run, run.origin)

    def test_serves_nobody_without_a_key_through_a_tunnel(self, run: Deployment) -> None:
        assert without_key(run.origin, FORWARDED) == [401] * 5


def unit_value(name: str) -> str:
    (found,) = [line.partition("=")[2] for line in UNIT.read_text().splitlines() if line.startswith(f"{name}=")]
    return found


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The command of the systemd unit, in its directories and environment below a prefix."""
    prefix, port = tmp_path_factory.mktemp("service"), free_port()

    def placed(text: str) -> str:
        return text.replace("/var/lib", f"{prefix}/var/lib").replace("/etc/", f"{prefix}/etc/")

    for name in unit_value("StateDirectory").split():
        (prefix / "var" / "lib" / name).mkdir(parents=True, mode=int(unit_value("StateDirectoryMode"), 8))
    config = prefix / "etc" / "tfo-mcp" / "tfo-mcp.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(f"server: {{port: {port}}}\n")
    variables = dict(pair.split("=", 1) for pair in shlex.split(placed(unit_value("Environment"))))
    variables["HOME"] = "/"  # as systemd sets it for a dynamic user
    arguments = shlex.split(placed(unit_value("ExecStart")))[1:]
    directory = Path(placed(unit_value("WorkingDirectory")))
    with started([*command(), *arguments], directory, variables, port) as server:
        state = prefix / "var" / "lib" / "tfo-mcp"
        options = ["--config", str(config)]
        yield Deployment(state, prepared(directory), [config, config.parent], variables, server, options)


class TestTheSystemdUnit:
    def test_serves_a_directory_that_is_not_the_state_directory(self, service: Deployment) -> None:
        assert service.root != service.state
        check_anonymous(service)

    def test_keeps_keys_and_settings_out_of_reach_of_every_key(self, service: Deployment) -> None:
        check_keys(service, service.origin)

    def test_serves_nobody_without_a_key_through_a_proxy(self, service: Deployment) -> None:
        assert without_key(service.origin, FORWARDED) == [401] * 5


@dataclass(frozen=True)
class Site:
    """A server behind nginx with TLS."""

    deployment: Deployment
    proxy: Nginx
    trust: ssl.SSLContext

    @property
    def origin(self) -> str:
        """The origin that clients use."""
        return f"https://{LOOPBACK}:{self.proxy.port}"


@contextmanager
def site(place: Path, **server: Sequence[str]) -> Iterator[Site]:
    """Run the documented site, with these server settings, until the end of the block."""
    port = free_port()
    for name in ("root", "nginx", "home"):
        (place / name).mkdir()
    config = place / "tfo-mcp.yaml"
    settings = {"server": {"port": port, **server}, "files": {"roots": [str(place / "root")]}}
    config.write_text(json.dumps(settings))
    certificate = self_signed(place, (LOOPBACK, PUBLIC_NAME))
    variables = {"HOME": str(place / "home"), "XDG_STATE_HOME": str(place / "state")}
    options = ["--config", str(config)]
    line = [*command(), "serve", "--transport", "http", *options]
    with ExitStack() as stack:
        running = stack.enter_context(started(line, place, variables, port))
        proxy = stack.enter_context(nginx(place / "nginx", port, port, certificate=certificate))
        deployment = Deployment(
            place / "state" / "tfo-mcp", prepared(place / "root"), [config], variables, running, options
        )
        yield Site(deployment, proxy, ssl.create_default_context(cafile=certificate.chain))


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("nginx"), trusted_proxies=[LOOPBACK], allowed_hosts=[PUBLIC_NAME]) as running:
        yield running


class TestNginxWithTls:
    def test_nobody_is_served_without_a_key_by_any_name(self, documented: Site) -> None:
        assert without_key(documented.origin, {}, documented.trust) == [401] * 5
        with httpx.Client(base_url=documented.origin, verify=documented.trust, trust_env=False) as client:
            named = client.post("/mcp", json={}, headers={"Host": PUBLIC_NAME})
            assert (named.status_code, named.headers["www-authenticate"].startswith("Bearer")) == (401, True)
            assert client.post("/mcp", json={}, headers={"Host": "evil.example"}).status_code == 403

    def test_nor_past_nginx_on_the_machine_itself(self, documented: Site) -> None:
        assert without_key(documented.deployment.origin, {}) == [401] * 5

    def test_keys_reach_what_they_are_for(self, documented: Site) -> None:
        check_keys(documented.deployment, documented.origin, documented.trust)

    def test_a_server_that_was_told_nothing_of_nginx_serves_nobody_without_a_key_either(self, tmp_path: Path) -> None:
        with site(tmp_path) as forgotten:
            assert without_key(forgotten.origin, {}, forgotten.trust) == [401] * 5
            key = forgotten.deployment.key(READER)
            with http_attacker(forgotten.origin, key, forgotten.trust) as attacker:
                assert attacker.tools() == READ_TOOLS
