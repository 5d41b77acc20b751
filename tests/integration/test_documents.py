"""The code blocks of the documents are files in docs/examples, and these files do what the documents say."""

import os
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from tests.support.deadlines import PATIENCE
from tests.support.processes import LOOPBACK, PROJECT, environment, http_server
from tfo_mcp.infrastructure.config import load
from tfo_mcp.plugins.loader import collect

EXAMPLES = PROJECT / "docs" / "examples"
DOCUMENTS = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
CLIENT = EXAMPLES / "agent_client.py"
TESTS = sorted(EXAMPLES.glob("*_test.py"))
PLUGINS = sorted(set(EXAMPLES.glob("*.py")) - {CLIENT, *TESTS})
CONFIGURATIONS = sorted(EXAMPLES.glob("*.yaml"))


def test_every_block_in_python_or_yaml_is_one_of_the_examples_and_every_example_is_a_block() -> None:
    blocks = {
        block: document.name
        for document in DOCUMENTS
        for block in re.findall(
            r"^```(?:python|yaml)\n(.*?)^```$", document.read_text(), flags=re.MULTILINE | re.DOTALL
        )
    }
    files = (path for suffix in ("py", "yaml") for path in EXAMPLES.rglob(f"*.{suffix}"))
    examples = {path.read_text(): path.name for path in files}
    assert [(name, block) for block, name in blocks.items() if block not in examples] == []
    assert [name for text, name in examples.items() if text not in blocks] == []


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.name)
def test_a_plugin_defines_something_that_is_described(path: Path) -> None:
    spec = spec_from_file_location(f"example_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        definitions = collect([module])
    finally:
        del sys.modules[spec.name]
    assert definitions
    assert all(definition.description for definition in definitions)


def test_the_test_of_a_plugin_passes_with_the_plugin_beside_it() -> None:
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, *map(str, TESTS)]
    done = subprocess.run(line, cwd=EXAMPLES, capture_output=True, text=True, timeout=6 * PATIENCE, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.name)
def test_a_configuration_is_valid(path: Path) -> None:
    load(path, environ={})


def test_the_client_lists_the_tools_and_calls_one() -> None:
    with http_server() as server:
        source = CLIENT.read_text().replace(f"{LOOPBACK}:8080", f"{LOOPBACK}:{server.port}")
        line = [sys.executable, "-c", source]
        done = subprocess.run(
            line, env=environment(), capture_output=True, text=True, timeout=6 * PATIENCE, check=False
        )
    assert done.returncode == 0, done.stderr
    assert "'echo'" in done.stdout
    assert "hello" in done.stdout
