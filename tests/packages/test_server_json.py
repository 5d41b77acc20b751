"""server.json: the entry for the MCP registry fits its schema and agrees with the project."""

import json
import re
import tomllib
from typing import Any

from tests.support.processes import PROJECT
from tfo_mcp.infrastructure.config.reference import settings_by_name

DOCUMENT: dict[str, Any] = json.loads((PROJECT / "server.json").read_text())
DISTRIBUTION: dict[str, Any] = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
OF_A_PACKAGE = {
    "registryType",
    "registryBaseUrl",
    "identifier",
    "version",
    "fileSha256",
    "runtimeHint",
    "transport",
    "runtimeArguments",
    "packageArguments",
    "environmentVariables",
}


def test_it_is_within_the_limits_of_the_registrys_schema() -> None:
    assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", DOCUMENT["name"])
    assert 1 <= len(DOCUMENT["description"]) <= 100
    assert 1 <= len(DOCUMENT["title"]) <= 100
    for package in DOCUMENT["packages"]:
        assert set(package) <= OF_A_PACKAGE
        assert {"registryType", "identifier", "version", "transport"} <= set(package)
        assert package["transport"]["type"] in {"stdio", "streamable-http", "sse"}
        for argument in package["packageArguments"]:
            needed = {"positional": "value", "named": "name"}[argument["type"]]
            assert argument[needed]
        for variable in package["environmentVariables"]:
            assert variable["name"]
            assert variable.get("format", "string") in {"string", "number", "boolean", "filepath"}


def test_it_tells_the_truth_of_the_distribution() -> None:
    (package,) = DOCUMENT["packages"]
    assert package["identifier"] == DISTRIBUTION["name"]
    assert {DOCUMENT["version"], package["version"]} == {DISTRIBUTION["version"]}
    line = [argument.get("value") if argument["type"] == "positional" else f"{argument['name']}={argument['value']}"
            for argument in package["packageArguments"]]  # fmt: skip
    assert line == ["serve", "--transport=stdio"]
    known = {name for setting in settings_by_name().values() for name in setting.variables}
    assert {variable["name"] for variable in package["environmentVariables"]} <= known


def test_the_readme_proves_to_the_registry_whose_package_it_is() -> None:
    assert f"<!-- mcp-name: {DOCUMENT['name']} -->" in (PROJECT / "README.md").read_text()
