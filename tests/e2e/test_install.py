"""`tfo-mcp install`: hosts get a working entry, and their files keep everything else."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.support.deadlines import PATIENCE
from tests.support.processes import command, environment

PLACES = {
    "claude-desktop": ("home/.config/Claude/claude_desktop_config.json", "mcpServers"),
    "claude-code": ("home/.claude.json", "mcpServers"),
    "cursor": ("home/.cursor/mcp.json", "mcpServers"),
    "vscode": ("home/.config/Code/User/mcp.json", "servers"),
}
IN_PROJECT = {"claude-code": ".mcp.json", "cursor": ".cursor/mcp.json", "vscode": ".vscode/mcp.json"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A home directory, and a project with two directories."""
    for name in ("home", "project/.git", "project/sub", "project/other"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def install(place: Path, *arguments: str, where: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command as a user whose home is in `place`, in the project or elsewhere."""
    variables = environment({"HOME": str(place / "home")})
    variables.pop("XDG_CONFIG_HOME", None)
    line = [*command(), "install", *arguments]
    return subprocess.run(
        line,
        env=variables,
        cwd=where or place / "project",
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def file_of(place: Path, host: str) -> Path:
    return place / PLACES[host][0]


def entry_in(path: Path, member: str, name: str = "tfo-mcp") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())[member][name]
    return found


def roots_of(entry: Mapping[str, Any]) -> list[Any]:
    found: list[Any] = json.loads(entry["env"]["TELEMETRYFLOW_MCP_FILES_ROOTS"])
    return found


@pytest.mark.parametrize("host", PLACES)
def test_a_file_that_is_not_there_is_made_for_its_owner_alone(place: Path, host: str) -> None:
    done = install(place, host)
    assert done.returncode == 0, done.stderr
    entry = entry_in(file_of(place, host), PLACES[host][1])
    assert entry["args"] == ["serve", "--transport", "stdio"]
    assert Path(entry["command"]).is_absolute()
    assert roots_of(entry) == [str(place / "project")]
    assert ("type" in entry) == (host in ("claude-code", "vscode"))
    assert file_of(place, host).stat().st_mode & 0o777 == 0o600
    assert str(file_of(place, host)) in done.stdout


@pytest.mark.parametrize("host", IN_PROJECT)
def test_one_project_alone_can_have_it(place: Path, host: str) -> None:
    assert install(place, host, "--project").returncode == 0
    assert entry_in(place / "project" / IN_PROJECT[host], PLACES[host][1])
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
    assert "is there already" in install(place, "claude-code").stdout
    assert (path.read_bytes(), list(path.parent.glob("*.bak*"))) == (first, [])
    assert "replaced" in install(place, "claude-code", "--root", "sub").stdout
    assert roots_of(entry_in(path, "mcpServers")) == [str(place / "project" / "sub")]
    assert install(place, "claude-code", "--root", "other").returncode == 0
    assert path.with_name(".claude.json.bak").read_bytes() == first
    assert path.with_name(".claude.json.bak.1").exists()


@pytest.mark.parametrize(
    "content", [b'{\n  // mine\n  "servers": {}\n}', b"[]", b'{"servers": []}', b'{"servers": {}', b"\xff\xfe"]
)
def test_a_file_that_is_not_plain_json_is_left_as_it_is(place: Path, content: bytes) -> None:
    path = file_of(place, "vscode")
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    done = install(place, "vscode")
    assert done.returncode == 1
    assert "Nothing was changed. Add this by hand:" in done.stderr
    assert '"tfo-mcp"' in done.stderr
    assert path.read_bytes() == content
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_link_to_the_file_stays_a_link(place: Path) -> None:
    real = place / "dotfiles.json"
    real.write_text("{}")
    path = file_of(place, "cursor")
    path.parent.mkdir(parents=True)
    path.symlink_to(real)
    assert install(place, "cursor").returncode == 0
    assert path.is_symlink()
    assert entry_in(real, "mcpServers")


def test_a_directory_that_cannot_be_written_is_an_error_that_says_so(place: Path) -> None:
    blocked = place / "home" / ".cursor"
    blocked.write_text("not a directory")
    done = install(place, "cursor")
    assert (done.returncode, "Nothing was changed" in done.stderr) == (1, True)


@pytest.mark.anyio
@pytest.mark.parametrize("host", PLACES)
async def test_the_official_client_starts_the_server_from_the_entry(place: Path, host: str) -> None:
    assert install(place, host).returncode == 0
    entry = entry_in(file_of(place, host), PLACES[host][1])
    parameters = StdioServerParameters(command=entry["command"], args=entry["args"], cwd=place / "project")
    async with Client(stdio_client(parameters)) as client:
        assert "echo" in {tool.name for tool in (await client.list_tools()).tools}


class TestRoots:
    @pytest.mark.parametrize("where", ["empty", "home", ".", "/", "/etc"])
    def test_what_is_no_project_is_not_taken(self, place: Path, where: str) -> None:
        (place / "empty").mkdir()
        (place / "home" / ".git").mkdir()  # a home directory can be a repository, but is never the project
        done = install(place, "cursor", where=place / where)
        assert done.returncode == 2
        assert "give --root DIRECTORY" in done.stderr
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
        assert (refused.returncode, "give --root" in refused.stderr) == (2, True)

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
        entry = entry_in(file_of(place, "cursor"), "mcpServers")
        assert roots_of(entry) == [roots[0], str(place / "project" / "other")]
        assert entry["args"][-2:] == ["--config", str(config)]

    def test_home_itself_can_be_named(self, place: Path) -> None:
        done = install(place, "cursor", "--print", "--root", "~", where=place / "home")
        assert roots_of(json.loads(done.stdout)["mcpServers"]["tfo-mcp"]) == [str(place / "home")]
