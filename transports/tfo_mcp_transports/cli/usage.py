"""`tfo-mcp usage`: show how much each principal has used."""

from typing import Annotated

import anyio
import typer

from tfo_mcp.bootstrap import usage_of
from tfo_mcp_transports.cli.effective_settings import settings_of
from tfo_mcp_transports.cli.json_output import as_json
from tfo_mcp_transports.cli.options import ConfigOption, JsonOption


def usage(
    days: Annotated[int, typer.Option("--days", min=1, max=3660, help="Number of days (UTC), with today.")] = 7,
    in_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show the tool calls and the language-model tokens of each principal, by day."""
    found = anyio.run(usage_of, settings_of(config), days)
    if in_json:
        print(as_json(found))
        return
    print(f"{'day':<10}  {'calls':>10}  {'tokens':>12}  principal")
    for entry in found:
        print(f"{entry['day']:<10}  {entry['calls']:>10}  {entry['tokens']:>12}  {entry['principal']}")
