"""`tfo-mcp validate`: check the configuration and load every plugin, without serving."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from tfo_mcp.bootstrap import (
    ConfigurationError,
    PluginError,
    build,
    host_refusals,
    logging_without_thread,
    worker_count,
)
from tfo_mcp_transports.cli.effective_settings import settings_of
from tfo_mcp_transports.cli.failures import CommandFailed
from tfo_mcp_transports.cli.json_output import as_json
from tfo_mcp_transports.cli.options import ConfigOption, JsonOption
from tfo_mcp_transports.descriptors import stdout_to_stderr


def validate(config: ConfigOption = None, in_json: JsonOption = False) -> None:
    """Check the configuration and load every plugin, without serving.

    Warns of tools that named hosts refuse.
    """
    try:
        source, warnings = _check(config)
    except (ConfigurationError, PluginError) as problem:
        problems = problem.problems if isinstance(problem, ConfigurationError) else (str(problem),)
        report: dict[str, object] = {"valid": False, "configuration": None, "problems": problems, "warnings": []}
        raise CommandFailed(str(problem), 2, report) from problem.__cause__
    if in_json:
        configuration = None if source is None else str(source)
        print(as_json({"valid": True, "configuration": configuration, "problems": [], "warnings": warnings}))
        return
    for warning in warnings:
        print(f"Warning: {warning}")
    print(f"Valid: {source or 'defaults and environment'}")


def _check(config: Path | None) -> tuple[Path | None, Sequence[str]]:
    """Return the configuration file, and the reasons why named hosts refuse tools."""
    settings = settings_of(config)
    worker_count(settings)
    with stdout_to_stderr(), logging_without_thread(settings):  # plugins may print when they are imported
        asyncio.run(build(settings).close())
    return settings.source, list(host_refusals(settings))
