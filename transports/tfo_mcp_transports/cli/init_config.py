"""`tfo-mcp init-config`: write a configuration file with every setting, its default and its meaning."""

from pathlib import Path
from typing import Annotated

import typer

from tfo_mcp_transports.cli.json_output import as_json
from tfo_mcp_transports.cli.options import JsonOption


def init_config(
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write; - for standard output.")] = Path(
        "tfo-mcp.yaml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    in_json: JsonOption = False,
) -> None:
    """Write a configuration file with every setting, its default and its meaning."""
    from tfo_mcp.bootstrap import ConfigurationError, render_yaml

    text = render_yaml()
    if str(output) == "-":
        if in_json:
            raise typer.BadParameter("with --json the file needs a name")
        typer.echo(text, nl=False)
        return
    try:
        with output.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except (FileExistsError, IsADirectoryError):
        if output.is_dir():
            raise ConfigurationError((f"{output} is a directory: name a file",)) from None
        raise ConfigurationError((f"{output} exists: give --force to overwrite it",)) from None
    except OSError as problem:
        raise ConfigurationError((f"{output} cannot be written: {problem.strerror}",)) from None
    typer.echo(as_json({"written": str(output)}) if in_json else f"Wrote {output}")
