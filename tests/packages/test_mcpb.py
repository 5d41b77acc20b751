"""The MCPB bundle: it passes the official validator, builds reproducibly and starts as in a host."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.e2e.node_programs import installed, run_together
from tests.support.processes import PROJECT, environment

BUILD = PROJECT / "deploy" / "mcpb" / "build.py"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    done = subprocess.run([sys.executable, BUILD, "--output", folder], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def unpacked(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with ZipFile(bundle) as archive:
        archive.extractall(folder)
    return folder


def manifest_in(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return found


def test_the_manifest_is_valid_by_the_publishers_own_tool(unpacked: Path, tmp_path: Path) -> None:
    line = [*installed("mcpb"), "validate", str(unpacked / "manifest.json")]
    (done,) = run_together([line], home=tmp_path)
    assert done.code == 0, done.stdout + done.stderr
    assert "passes" in done.stdout


def test_the_same_sources_give_the_same_bytes(bundle: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, BUILD, "--output", tmp_path], capture_output=True, check=True)
    assert (tmp_path / bundle.name).read_bytes() == bundle.read_bytes()


def test_it_holds_sources_and_nothing_else(bundle: Path) -> None:
    names = ZipFile(bundle).namelist()
    assert {name.partition("/")[0] for name in names} == {
        "LICENSE",
        "README.md",
        "app",
        "manifest.json",
        "pyproject.toml",
        "transports",
    }
    assert not [name for name in names if "__pycache__" in name or name.startswith("/")]


@pytest.mark.anyio
async def test_a_host_starts_it_as_the_manifest_says_and_finds_the_tools_that_it_names(
    unpacked: Path, tmp_path: Path
) -> None:
    manifest = manifest_in(unpacked)
    start = manifest["server"]["mcp_config"]
    filled = {
        "${__dirname}": str(unpacked),
        "${user_config.root}": str(tmp_path),
        "${user_config.anthropic_api_key}": "",
    }
    uv = shutil.which(start["command"], path=str(Path(sys.executable).parent))
    assert uv is not None
    there = {  # a host lets uv install the dependencies; here they are already installed
        "UV_NO_SYNC": "1",
        "UV_OFFLINE": "1",
        "UV_PROJECT_ENVIRONMENT": str(Path(sys.executable).parents[1]),
        "PYTHONPATH": os.pathsep.join(str(unpacked / folder) for folder in ("app", "transports")),
    }
    parameters = StdioServerParameters(
        command=uv,
        args=[fill(argument, filled) for argument in start["args"]],
        env={**environment(), **there, **{name: fill(value, filled) for name, value in start["env"].items()}},
        cwd=tmp_path,
    )
    async with Client(stdio_client(parameters)) as client:
        offered = {tool.name for tool in (await client.list_tools()).tools}
        (root,) = [each for each in (await client.list_resources()).resources if str(each.uri).startswith("file:")]
    assert offered == {tool["name"] for tool in manifest["tools"]}
    assert str(root.uri) == tmp_path.as_uri()


def fill(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    assert "${" not in text
    return text
