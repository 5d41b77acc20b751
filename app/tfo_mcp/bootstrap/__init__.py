"""The composition root: what entry points, and tests that play them, may import of the application."""

from tfo_mcp.bootstrap.composition import build, server_version
from tfo_mcp.bootstrap.diagnosis import examine
from tfo_mcp.bootstrap.exposure import anonymous_access
from tfo_mcp.bootstrap.key_admin import KeyAdministration, key_administration
from tfo_mcp.bootstrap.roots import project_root, require_usable, served_roots
from tfo_mcp.bootstrap.security import audit_path, state_directory
from tfo_mcp.bootstrap.state import SharedState
from tfo_mcp.bootstrap.telemetry import logging_of
from tfo_mcp.infrastructure.config import ConfigurationError, Settings, load, redacted, render_yaml
from tfo_mcp.infrastructure.config.shapes import RootPath
from tfo_mcp.infrastructure.diagnosis import Finding
from tfo_mcp.infrastructure.identity.private_files import replace_file
from tfo_mcp.infrastructure.logging import Logging
from tfo_mcp.plugins.loader import PluginError
from tfo_mcp.presentation.server import Server

__all__ = [
    "ConfigurationError",
    "Finding",
    "KeyAdministration",
    "Logging",
    "PluginError",
    "RootPath",
    "Server",
    "Settings",
    "SharedState",
    "anonymous_access",
    "audit_path",
    "build",
    "examine",
    "key_administration",
    "load",
    "logging_of",
    "project_root",
    "redacted",
    "render_yaml",
    "replace_file",
    "require_usable",
    "served_roots",
    "server_version",
    "state_directory",
]
