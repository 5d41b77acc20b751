"""The composition root: what entry points, and tests that play them, may import of the application."""

from tfo_mcp.application.ports import DeadLetter, EventLogUnavailable, WorkQueueUnavailable
from tfo_mcp.bootstrap.composition import build, server_version
from tfo_mcp.bootstrap.definitions import host_refusals, import_builtins
from tfo_mcp.bootstrap.diagnosis import examine
from tfo_mcp.bootstrap.events import dead_letters, event_reader, retry_dead_letters
from tfo_mcp.bootstrap.exposure import anonymous_access
from tfo_mcp.bootstrap.key_admin import KeyAdministration, key_administration
from tfo_mcp.bootstrap.migration import Migration, TableRevision
from tfo_mcp.bootstrap.roots import project_root, require_usable, served_roots
from tfo_mcp.bootstrap.security import audit_path, state_directory
from tfo_mcp.bootstrap.state import SharedState
from tfo_mcp.bootstrap.telemetry import logging_of, logging_without_thread
from tfo_mcp.bootstrap.telemetry_admin import StoreReport, TelemetryAdministration
from tfo_mcp.bootstrap.telemetry_store import (
    own_exports,
    sender_key,
    store_lock,
    store_process,
    with_store,
)
from tfo_mcp.bootstrap.usage import usage_of
from tfo_mcp.bootstrap.workers import Worker, WorkerShare, worker_count
from tfo_mcp.domain.text import escaped
from tfo_mcp.infrastructure.config import ConfigurationError, Settings, load, redacted, render_yaml
from tfo_mcp.infrastructure.config.shapes import RootPath
from tfo_mcp.infrastructure.diagnosis import Finding
from tfo_mcp.infrastructure.identity.private_files import replace_file
from tfo_mcp.infrastructure.logging import Logging
from tfo_mcp.plugins.loader import PluginError, is_without_definitions
from tfo_mcp.presentation.server import Server

__all__ = [
    "ConfigurationError",
    "DeadLetter",
    "EventLogUnavailable",
    "Finding",
    "KeyAdministration",
    "Logging",
    "Migration",
    "PluginError",
    "RootPath",
    "Server",
    "Settings",
    "SharedState",
    "StoreReport",
    "TableRevision",
    "TelemetryAdministration",
    "WorkQueueUnavailable",
    "Worker",
    "WorkerShare",
    "anonymous_access",
    "audit_path",
    "build",
    "dead_letters",
    "escaped",
    "event_reader",
    "examine",
    "host_refusals",
    "import_builtins",
    "is_without_definitions",
    "key_administration",
    "load",
    "logging_of",
    "logging_without_thread",
    "own_exports",
    "project_root",
    "redacted",
    "render_yaml",
    "replace_file",
    "require_usable",
    "retry_dead_letters",
    "sender_key",
    "served_roots",
    "server_version",
    "state_directory",
    "store_lock",
    "store_process",
    "usage_of",
    "with_store",
    "worker_count",
]
