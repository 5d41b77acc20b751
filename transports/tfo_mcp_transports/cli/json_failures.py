"""Failures of sub-commands as JSON on standard output, for those that were given `--json`.

The option notes that it was given, and the outermost command prints what a sub-command raises. Knows no sub-command.
"""

import typer
from typer.core import TyperGroup

from tfo_mcp.bootstrap import ConfigurationError, PluginError
from tfo_mcp_transports.cli.failures import CommandFailed
from tfo_mcp_transports.cli.json_output import as_json, json_line

_IN_JSON = f"{__name__}.in_json"


def remember_json(context: typer.Context, is_given: bool) -> bool:
    """Note for `ReportingGroup` whether a command was given `--json`; the callback of that option."""
    context.meta[_IN_JSON] = is_given  # shared with the contexts of the outer commands
    return is_given


class ReportingGroup(TyperGroup):
    """The outermost command: prints the failure of a sub-command as JSON too, if it was given `--json`."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        """Run the sub-command; a failure is raised again after it is printed."""
        try:
            return super().invoke(ctx)
        except (CommandFailed, ConfigurationError, PluginError) as problem:
            if ctx.meta.get(_IN_JSON):
                report = problem.report if isinstance(problem, CommandFailed) else None
                print(json_line({"problem": str(problem)}) if report is None else as_json(report))
            raise
