"""Image, compose.yaml, Kubernetes and MCPB bundle: roots are explicit and contain neither state nor configuration."""

import json
import re
from pathlib import PurePosixPath
from typing import Any

import yaml

from tests.support.processes import PROJECT

STATE = PurePosixPath("/var/lib/tfo-mcp")


def dockerfile() -> str:
    return (PROJECT / "Dockerfile").read_text().replace("\\\n", " ")


def root_of_the_image() -> PurePosixPath:
    (root,) = re.findall(r"TELEMETRYFLOW_MCP_FILES_ROOTS=(\S+)", dockerfile())
    return PurePosixPath(root)


def test_the_image_names_its_root_beside_its_state_and_its_configuration() -> None:
    root = root_of_the_image()
    (looked_for_in,) = re.findall(r"^WORKDIR (\S+)$", dockerfile().rpartition("\nFROM ")[2], re.MULTILINE)
    kept = (STATE, PurePosixPath(looked_for_in), PurePosixPath("/opt/tfo-mcp"))
    assert [place for place in kept if root == place or root in place.parents or place in root.parents] == []


def test_compose_mounts_the_workspace_at_the_root_and_the_state_elsewhere() -> None:
    service: dict[str, Any] = yaml.safe_load((PROJECT / "compose.yaml").read_text())["services"]["tfo-mcp"]
    assert {volume.rpartition(":")[2] for volume in service["volumes"]} == {str(STATE), str(root_of_the_image())}
    assert [name for name in service["environment"] if name.endswith("FILES_ROOTS")] == []


def test_pods_mount_keys_and_state_outside_of_the_root() -> None:
    deployment = yaml.safe_load((PROJECT / "k8s" / "base" / "deployment.yaml").read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    mounts = {mount["name"]: PurePosixPath(mount["mountPath"]) for mount in container["volumeMounts"]}
    root = mounts.pop("workspace")
    assert root == root_of_the_image()
    assert [path for path in mounts.values() if root in path.parents or path in root.parents] == []


def test_the_bundle_names_the_very_directory_that_the_user_chooses() -> None:
    manifest = json.loads((PROJECT / "deploy" / "mcpb" / "manifest.json").read_text())
    assert manifest["user_config"]["root"]["required"]
    text = manifest["server"]["mcp_config"]["env"]["TELEMETRYFLOW_MCP_FILES_ROOTS"]
    assert json.loads(text.replace("${user_config.root}", "/a,b [1]")) == ["/a,b [1]"]  # one directory, not two
