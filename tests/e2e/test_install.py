"""`tfo-mcp install`: hosts get a working entry, and their files keep everything else."""

import base64
import json
import subprocess
import tomllib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.e2e.host_samples import PRINTED, SAMPLES
from tests.support.processes import NO_STORE, run_command
from tfo_mcp_transports.cli.hosts import jsonc

IN_PROJECT = [host for host, sample in SAMPLES.items() if sample.in_project is not None]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A home directory, and a project with two directories."""
    for name in ("home", "project/.git", "project/sub", "project/other"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def install(
    place: Path, *arguments: str, where: Path | None = None, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command as a user whose home is in `place`, in the project or elsewhere."""
    unset = dict.fromkeys(("XDG_CONFIG_HOME", "CODEX_HOME", "COPILOT_HOME"), "")
    variables = {"HOME": str(place / "home"), **unset, **(more or {})}
    return run_command("install", *arguments, directory=where or place / "project", variables=variables)


def file_of(place: Path, host: str) -> Path:
    return place / "home" / SAMPLES[host].place


def servers_in(path: Path) -> dict[str, Any]:
    """Return the servers of a host's file, whose member has one of the three names."""
    text = path.read_text()
    document: Any = tomllib.loads(text) if ".toml" in path.name else jsonc.value(text, [])
    (member,) = {"mcpServers", "mcp_servers", "servers"} & set(document)
    servers: dict[str, Any] = document[member]
    return servers


def entry_in(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = servers_in(path)["tfo-mcp"]
    return found


def roots_of(entry: Mapping[str, Any]) -> list[Any]:
    found: list[Any] = json.loads(entry["env"]["TELEMETRYFLOW_MCP_FILES_ROOTS"])
    return found


def for_each(hosts: Iterable[str], test: Callable[[str], None]) -> None:
    """Run a test for each host, two at a time."""
    with ThreadPoolExecutor(2) as threads:
        for _ in threads.map(test, hosts):
            pass


def test_each_host_gets_an_entry_and_its_documented_file_keeps_every_other_line(place: Path) -> None:
    def check(host: str) -> None:
        sample, path = SAMPLES[host], file_of(place, host)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(sample.text)
        done = install(place, host)
        assert done.returncode == 0, done.stderr
        entry, text = entry_in(path), path.read_text()
        assert set(entry) == sample.fields
        assert Path(entry["command"]).is_absolute()
        assert entry["args"] == ["serve", "--transport", "stdio"]
        assert roots_of(entry) == [str(place / "project")]
        others = servers_in(path)
        others.pop("tfo-mcp")
        original = path.with_name(f"{path.name}.bak")
        assert (original.read_text(), servers_in(original)) == (sample.text, others)
        assert [line for line in sample.text.splitlines() if line.rstrip(",") not in text] == []
        assert install(place, host, "--remove").returncode == 0
        assert path.read_text().rstrip() == sample.text.rstrip()

    for_each(SAMPLES, check)


def test_a_file_that_is_not_there_is_made_for_its_owner_alone(place: Path) -> None:
    def check(host: str) -> None:
        done = install(place, host)
        assert done.returncode == 0, done.stderr
        assert roots_of(entry_in(file_of(place, host))) == [str(place / "project")]
        assert file_of(place, host).stat().st_mode & 0o777 == 0o600
        assert str(file_of(place, host)) in done.stdout

    for_each(["claude-desktop", "codex"], check)


def test_one_project_alone_can_have_it(place: Path) -> None:
    def check(host: str) -> None:
        assert install(place, host, "--project").returncode == 0
        assert entry_in(place / "project" / str(SAMPLES[host].in_project))
        assert not file_of(place, host).exists()

    for_each(IN_PROJECT, check)


def test_the_portable_file_of_a_project_is_one_for_both_hosts(place: Path) -> None:
    assert "added" in install(place, "copilot", "--project").stdout
    assert "is already installed" in install(place, "claude-code", "--project").stdout


def test_variables_move_the_files_of_codex_and_copilot(place: Path) -> None:
    moved = {"CODEX_HOME": str(place / "moved"), "COPILOT_HOME": str(place / "moved")}
    for host, name in (("codex", "config.toml"), ("copilot", "mcp-config.json")):
        assert install(place, host, more=moved).returncode == 0
        assert entry_in(place / "moved" / name)


@pytest.mark.parametrize("host", PRINTED)
def test_files_that_are_not_edited_are_printed_in_their_documented_form(place: Path, host: str) -> None:
    printed, documented = (yaml.safe_load(text) for text in (install(place, host, "--print").stdout, PRINTED[host]))
    ((member, servers),) = printed.items()
    ((same_member, examples),) = documented.items()
    assert (member, list(servers)) == (same_member, ["tfo-mcp"])
    assert set(servers["tfo-mcp"]) == {field for example in examples.values() for field in example}
    refused = install(place, host)
    assert (refused.returncode, "--print" in refused.stderr) == (2, True)


def test_links_carry_the_entry(place: Path) -> None:
    cursor, studio, vscode = (install(place, host, "--deeplink").stdout for host in ("cursor", "lm-studio", "vscode"))
    for link, address in ((cursor, "cursor://anysphere.cursor-deeplink/mcp/install"), (studio, "lmstudio://add_mcp")):
        query = parse_qs(urlsplit(link.strip()).query)
        assert link.startswith(f"{address}?")
        assert query["name"] == ["tfo-mcp"]
        assert roots_of(json.loads(base64.b64decode(query["config"][0]))) == [str(place / "project")]
    start, _, encoded = vscode.strip().partition("?")
    entry = json.loads(unquote(encoded))
    assert (start, entry["name"], entry["type"]) == ("vscode:mcp/install", "tfo-mcp", "stdio")
    refused = install(place, "codex", "--deeplink")
    assert (refused.returncode, "--print" in refused.stderr) == (2, True)


def test_removing_what_is_not_there_changes_nothing(place: Path) -> None:
    assert "not installed" in install(place, "cursor", "--remove").stdout
    assert not file_of(place, "cursor").exists()
    file_of(place, "codex").parent.mkdir(parents=True)
    file_of(place, "codex").write_text("[")
    refused = install(place, "codex", "--remove")
    assert (refused.returncode, "Nothing was changed" in refused.stderr) == (1, True)
    assert file_of(place, "codex").read_text() == "["


@pytest.mark.parametrize(("host", "name"), [("cursor", "a b"), ("cursor", "n" * 33), ("gemini", "a_b")])
def test_a_name_that_a_host_would_refuse_is_refused(place: Path, host: str, name: str) -> None:
    done = install(place, host, f"--name={name}")
    assert (done.returncode, done.stdout) == (2, "")
    assert not file_of(place, host).exists()


def test_claude_desktop_has_no_projects(place: Path) -> None:
    done = install(place, "claude-desktop", "--project")
    assert (done.returncode, "no configuration for one project" in done.stderr) == (2, True)


def test_printing_touches_nothing(place: Path) -> None:
    done = install(place, "vscode", "--print", "--name", "mine")
    assert json.loads(done.stdout)["servers"]["mine"]["type"] == "stdio"
    assert not list((place / "home").iterdir())


def test_what_is_there_stays_in_its_order_and_form_and_is_backed_up(place: Path) -> None:
    path = file_of(place, "cursor")
    path.parent.mkdir(parents=True)
    before = json.dumps({"zulu": [1], "mcpServers": {"other": {"command": "x"}}, "alpha": "ü"}, indent=4)
    path.write_text(before)
    path.chmod(0o640)
    done = install(place, "cursor")
    assert done.returncode == 0
    after = json.loads(path.read_text())
    assert list(after) == ["zulu", "mcpServers", "alpha"]
    assert list(after["mcpServers"]) == ["other", "tfo-mcp"]
    assert "\n    " in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.with_name("mcp.json.bak").read_text() == before


def test_the_same_entry_again_changes_nothing_and_another_one_replaces_it_with_a_backup(place: Path) -> None:
    path = file_of(place, "claude-code")
    assert install(place, "claude-code").returncode == 0
    first = path.read_bytes()
    assert "is already installed" in install(place, "claude-code").stdout
    assert (path.read_bytes(), list(path.parent.glob("*.bak*"))) == (first, [])
    assert "replaced" in install(place, "claude-code", "--root", "sub").stdout
    assert roots_of(entry_in(path)) == [str(place / "project" / "sub")]
    assert install(place, "claude-code", "--root", "other").returncode == 0
    assert path.with_name(".claude.json.bak").read_bytes() == first
    assert path.with_name(".claude.json.bak.1").exists()


@pytest.mark.parametrize("content", [b"[]", b'{"servers": []}', b'{"servers": {}', b"\xff\xfe"])
def test_a_file_of_another_structure_is_left_as_it_is(place: Path, content: bytes) -> None:
    path = file_of(place, "vscode")
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    done = install(place, "vscode")
    assert done.returncode == 1
    assert "Nothing was changed. Add this by hand:" in done.stderr
    assert '"tfo-mcp"' in done.stderr
    assert path.read_bytes() == content
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_comments_of_others_after_the_entry_of_codex_stay(place: Path) -> None:
    path, profiles = file_of(place, "codex"), b'\r\n# my profiles\r\n[profiles.fast]\r\nmodel = "mini"\r\n'
    path.parent.mkdir(parents=True)
    path.write_bytes(b"# mine\r\n")
    assert install(place, "codex").returncode == 0
    path.write_bytes(path.read_bytes() + profiles)
    sizes = set()
    for root in ("sub", "other", "sub"):
        assert "replaced" in install(place, "codex", "--root", root).stdout
        content = path.read_bytes()
        assert content.endswith(profiles)
        assert content.count(b"\n") == content.count(b"\r\n")
        sizes.add(content.count(b"\n"))
    assert len(sizes) == 1
    assert "removed" in install(place, "codex", "--remove").stdout
    assert path.read_bytes() == b"# mine\r\n" + profiles


@pytest.mark.parametrize("others", ["{ one = { command = 'x' } }", "'x'", "[{ command = 'x' }]"])
def test_servers_of_codex_in_another_form_are_left_as_they_are(place: Path, others: str) -> None:
    path = file_of(place, "codex")
    path.parent.mkdir(parents=True)
    path.write_text(f"mcp_servers = {others}\n")
    done = install(place, "codex")
    assert done.returncode == 1
    problem, *by_hand = done.stderr.splitlines()
    assert problem.startswith(f'tfo-mcp: {path}: "mcp_servers" is ')
    assert by_hand[0] == "Nothing was changed. Add this by hand:"
    assert "tfo-mcp" in tomllib.loads("\n".join(by_hand[1:]))["mcp_servers"]
    assert path.read_text() == f"mcp_servers = {others}\n"


def test_a_link_to_the_file_stays_a_link(place: Path) -> None:
    real = place / "dotfiles.json"
    real.write_text("{}")
    path = file_of(place, "cursor")
    path.parent.mkdir(parents=True)
    path.symlink_to(real)
    assert install(place, "cursor").returncode == 0
    assert path.is_symlink()
    assert entry_in(real)


def test_a_directory_that_cannot_be_written_is_an_error_that_says_so(place: Path) -> None:
    blocked = place / "home" / ".cursor"
    blocked.write_text("not a directory")
    done = install(place, "cursor")
    assert (done.returncode, "Nothing was changed" in done.stderr) == (1, True)


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["codex", "vscode"])
async def test_the_official_client_starts_the_server_from_the_entry(place: Path, host: str) -> None:
    assert install(place, host).returncode == 0
    entry = entry_in(file_of(place, host))
    parameters = StdioServerParameters(
        command=entry["command"], args=entry["args"], env=NO_STORE, cwd=place / "project"
    )
    async with Client(stdio_client(parameters)) as client:
        assert "echo" in {tool.name for tool in (await client.list_tools()).tools}


class TestRoots:
    @pytest.mark.parametrize("where", ["empty", "home", ".", "/", "/etc"])
    def test_what_is_no_project_is_not_taken(self, place: Path, where: str) -> None:
        (place / "empty").mkdir()
        (place / "home" / ".git").mkdir()  # a home directory can be a repository, but is never the project
        done = install(place, "cursor", where=place / where)
        assert done.returncode == 2
        assert "use --root DIRECTORY" in done.stderr
        assert not file_of(place, "cursor").exists()
        assert install(place, "cursor", "--print", where=place / where).stdout == ""

    @pytest.mark.parametrize("mark", [".git", "pyproject.toml", "package.json", "Cargo.toml", "go.mod", "tfo-mcp.yaml"])
    def test_a_project_is_known_by_its_files(self, place: Path, mark: str) -> None:
        (place / "empty").mkdir()
        (place / "empty" / mark).touch()
        done = install(place, "cursor", "--print", where=place / "empty")
        assert roots_of(json.loads(done.stdout)["mcpServers"]["tfo-mcp"]) == [str(place / "empty")]

    def test_the_option_for_a_project_says_that_this_is_one_but_not_of_home(self, place: Path) -> None:
        (place / "empty").mkdir()
        assert install(place, "cursor", "--project", where=place / "empty").returncode == 0
        refused = install(place, "cursor", "--project", where=place / "home")
        assert (refused.returncode, "use --root" in refused.stderr) == (2, True)

    @pytest.mark.parametrize("root", ["missing", "file", "", "/proc"])
    def test_a_root_must_be_a_directory_that_can_be_served(self, place: Path, root: str) -> None:
        (place / "project" / "file").touch()
        done = install(place, "cursor", "--root", "sub", "--root", root)
        assert (done.returncode, done.stdout) == (2, "")
        assert not file_of(place, "cursor").exists()

    def test_a_root_of_the_configuration_must_be_one_as_well(self, place: Path) -> None:
        config = place / "mine.yaml"
        config.write_text(json.dumps({"files": {"roots": [str(place / "missing")]}}))
        done = install(place, "cursor", "--config", str(config))
        assert (done.returncode, "files.roots" in done.stderr) == (2, True)
        assert not file_of(place, "cursor").exists()

    def test_those_of_the_configuration_are_named_with_what_they_allow(self, place: Path) -> None:
        config = place / "mine.yaml"
        roots = [{"path": str(place / "project" / "sub"), "read_only": True}, "other"]
        config.write_text(json.dumps({"files": {"roots": roots}}))
        assert install(place, "cursor", "--config", str(config)).returncode == 0
        entry = entry_in(file_of(place, "cursor"))
        assert roots_of(entry) == [roots[0], str(place / "project" / "other")]
        assert entry["args"][-2:] == ["--config", str(config)]

    def test_home_itself_can_be_named(self, place: Path) -> None:
        done = install(place, "cursor", "--print", "--root", "~", where=place / "home")
        assert roots_of(json.loads(done.stdout)["mcpServers"]["tfo-mcp"]) == [str(place / "home")]
