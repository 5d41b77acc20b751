"""The wheel: it works in a project that has `app` and `transports` packages of its own."""

import json
import re
import subprocess
import sys
import sysconfig
from email.message import Message
from email.parser import HeaderParser
from importlib.metadata import distribution
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.support.deadlines import PATIENCE
from tests.support.processes import PROJECT, environment

PACKAGES = {"tfo_mcp", "tfo_mcp_transports"}
TOOLS = """\
from tfo_mcp.plugins import tool
from app import GREETING

@tool()
def greet(name: str) -> str:
    \"\"\"Greet somebody.\"\"\"
    return f"{GREETING}, {name}"
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    line = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(PROJECT)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the scripts directory of an environment with the wheel, which uses the dependencies of the tests."""
    place = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    scripts = place / "bin"
    packages = sysconfig.get_path("purelib", vars={"base": str(place), "platbase": str(place)})
    pip = [sys.executable, "-m", "pip", "--python", str(scripts / "python"), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, wheel], check=True)
    (Path(packages) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return scripts


@pytest.fixture(scope="module")
def checked_types(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory for what mypy finds out about the packages that plugins import, which takes it 10 seconds."""
    return tmp_path_factory.mktemp("mypy")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project whose packages have the names of the source folders of this project."""
    for package in ("app", "transports"):
        (tmp_path / package).mkdir()
    (tmp_path / "app" / "__init__.py").write_text('GREETING = "Hello"\n')
    (tmp_path / "app" / "tools.py").write_text(TOOLS)
    (tmp_path / "transports" / "__init__.py").touch()
    (tmp_path / "transports" / "tools.py").write_text(TOOLS.replace("greet", "carry"))
    (tmp_path / "data").mkdir()
    (tmp_path / "tfo-mcp.yaml").write_text(
        json.dumps(
            {"mcp": {"plugins": ["app.tools", "transports.tools"]}, "files": {"roots": [str(tmp_path / "data")]}}
        )
    )
    return tmp_path


def run(line: list[str | Path], directory: Path) -> str:
    """Run a command in a directory and return its output."""
    done = subprocess.run(
        line, cwd=directory, env=environment(), capture_output=True, text=True, check=False, timeout=3 * PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def metadata(wheel: Path) -> Message:
    with ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return HeaderParser().parsestr(archive.read(name).decode())


def test_the_wheel_holds_our_two_packages_with_their_types_and_nothing_else(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == PACKAGES
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)


def test_its_metadata_says_who_made_it_and_where_to_read_on(wheel: Path) -> None:
    fields = metadata(wheel)
    labels = {entry.partition(",")[0] for entry in fields.get_all("Project-URL", [])}
    assert {"Documentation", "Source", "Issues", "Changelog"} <= labels
    assert fields["Author"] or fields["Author-email"]
    assert "mcp" in fields["Keywords"].split(",")


@pytest.mark.parametrize("page", ["README.md", "docs/plugins.md"])
def test_the_plugins_of_the_documents_pass_strict_type_checking(
    installed: Path, checked_types: Path, tmp_path: Path, page: str
) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", (PROJECT / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    plugins = [block for block in blocks if "tfo_mcp.plugins" in block]
    assert plugins
    files = [tmp_path / f"example_{number}.py" for number in range(len(plugins))]
    for file, source in zip(files, plugins, strict=True):
        file.write_text(source)
    mypy: list[str | Path] = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        f"--cache-dir={checked_types}",
        "--python-executable",
        installed / "python",
    ]
    done = subprocess.run([*mypy, *files], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("start", [["tfo-mcp"], ["python", "-m", "tfo_mcp"]], ids=" ".join)
def test_a_project_with_packages_of_the_same_names_is_served(installed: Path, project: Path, start: list[str]) -> None:
    line: list[str | Path] = [installed / start[0], *start[1:]]
    listed = run([*line, "list", "tools"], project)
    assert ("greet" in listed, "carry" in listed) == (True, True)
    assert "Hello, World" in run([*line, "call", "greet", '{"name": "World"}'], project)


@pytest.mark.parametrize("start", [["tfo-mcp"], ["python", "-m", "tfo_mcp"]], ids=" ".join)
def test_an_entry_of_a_host_starts_the_server_however_its_own_command_was_started(
    installed: Path, tmp_path: Path, start: list[str]
) -> None:
    line: list[str | Path] = [installed / start[0], *start[1:], "install", "cursor", "--print", "--root", tmp_path]
    entry = json.loads(run(line, tmp_path))["mcpServers"]["tfo-mcp"]
    answered = subprocess.run(
        [entry["command"], *entry["args"]],
        input='{"jsonrpc":"2.0","id":1,"method":"ping"}\n',
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(entry["env"]),
        timeout=PATIENCE,
        check=True,
    )
    assert json.loads(answered.stdout) == {"jsonrpc": "2.0", "id": 1, "result": {}}


def test_an_entry_of_a_host_outlives_the_cache_that_the_command_runs_from(
    installed: Path, wheel: Path, tmp_path: Path
) -> None:
    (installed.parents[1] / "CACHEDIR.TAG").touch()  # as in the cache of uv
    printed = run([installed / "tfo-mcp", "install", "cursor", "--print", "--root", tmp_path], tmp_path)
    entry = json.loads(printed)["mcpServers"]["tfo-mcp"]
    assert Path(entry["command"]).name == "uvx"
    source, requirement, *rest = entry["args"]
    package, _, origin = requirement.partition(" @ ")
    assert (source, origin, rest[:2]) == ("--from", wheel.as_uri(), ["tfo-mcp", "serve"])
    name, _, extras = package.removesuffix("]").partition("[")
    assert name == "tfo-mcp"
    assert set(extras.split(",")) == set(distribution("tfo-mcp").metadata.get_all("Provides-Extra", ()))


def test_an_entry_names_the_extras_that_are_installed_and_no_other(wheel: Path, tmp_path: Path) -> None:
    """The dependencies of the tests hold all extras; here those of two are missing."""
    place = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    scripts = place / "bin"
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(place), "platbase": str(place)}))
    pip = [sys.executable, "-m", "pip", "--python", str(scripts / "python"), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, wheel], check=True)
    left_out = re.compile(r"(redis|boto3)([-.].*)?$")
    for package in Path(sysconfig.get_path("purelib")).iterdir():
        if not left_out.match(package.name) and not (packages / package.name).exists():
            (packages / package.name).symlink_to(package)
    (place / "CACHEDIR.TAG").touch()
    printed = run([scripts / "tfo-mcp", "install", "cursor", "--print", "--root", tmp_path], tmp_path)
    requirement = json.loads(printed)["mcpServers"]["tfo-mcp"]["args"][1]
    extras = set(distribution("tfo-mcp").metadata.get_all("Provides-Extra", ())) - {"redis", "bedrock"}
    assert requirement.startswith("tfo-mcp[")
    assert set(requirement[len("tfo-mcp[") : requirement.index("]")].split(",")) == extras
