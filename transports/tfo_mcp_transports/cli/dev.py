"""`tfo-mcp dev`: serve one plugin for its author, on loopback, with the playground; reload it whenever it is saved."""

import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from tfo_mcp.bootstrap import ConfigurationError, Server, build, is_without_definitions, logging_of
from tfo_mcp_transports.cli.deadline import ExitDeadline
from tfo_mcp_transports.cli.effective_settings import settings_again, settings_of
from tfo_mcp_transports.cli.options import ConfigOption
from tfo_mcp_transports.cli.signals import end_at_once


def dev(
    file: Annotated[Path, typer.Argument(help="Python file with tools, resources or prompts.", metavar="FILE")],
    port: Annotated[int | None, typer.Option(help="Port to bind on 127.0.0.1.", show_default=False)] = None,
    config: ConfigOption = None,
) -> None:
    """Serve a plugin while you write it: programs of this machine may use everything, failures show their traceback.

    The server listens on 127.0.0.1 only. It loads the file again whenever it is saved; after an error the tools stay as
    they were.
    """
    from tfo_mcp_transports.cli.network import serve_network

    name = _module_name(file)
    overrides: dict[str, dict[str, object]] = {
        "server": {
            "transport": "http",
            "host": "127.0.0.1",
            "port": port,
            "playground": True,
            "allowed_hosts": [],
            "trusted_proxies": [],  # either would make keys mandatory
        },
        "security": {"anonymous": "all"},
    }
    configured = settings_of(config, overrides)
    if configured.security.require_key:
        overrides["security"]["require_key"] = False
    plugins = [*configured.mcp.plugins]
    overrides["mcp"] = {"plugins": [*plugins, *({name} - set(plugins))]}
    settings = settings_of(config, overrides)
    end_at_once()
    with logging_of(settings) as logging:
        reread = partial(settings_again, settings, overrides)
        server = build(settings, logging=logging, reread=reread, tracebacks=True)
        _report_missing_definitions(file, name)
        deadline = ExitDeadline(settings.server.drain_seconds, partial(logging.__exit__, None, None, None))
        serve_network(server, settings, deadline, [partial(_reload_when_saved, server, file.absolute(), name)])


def _module_name(file: Path) -> str:
    """Return the name by which the file can be imported, after its directory was added to the import path.

    Raises:
        ConfigurationError: there is no such file, it has no name of a module, or another module has its name.
    """
    if not file.is_file():
        raise ConfigurationError((f"{file}: there is no such file",))
    if file.suffix != ".py" or not file.stem.isidentifier():
        raise ConfigurationError((f"{file}: the file must be called like a Python module, as in my_tools.py",))
    _require_own_name(file)  # the file must not replace a module that a library imports
    sys.path.insert(0, str(file.absolute().parent))
    _require_own_name(file)  # in its directory, a package has precedence
    return file.stem


def _require_own_name(file: Path) -> None:
    """Check that no other module is imported by the name of the file.

    Raises:
        ConfigurationError: there is one.
    """
    try:
        found = find_spec(file.stem)
        other = None if found is None else found.origin  # a directory without __init__.py has none, and no precedence
    except ValueError:  # a module without a specification, such as __main__
        other = "Python"
    if other is not None and Path(other).resolve() != file.resolve():
        advice = f"rename it, for example to my_{file.stem.strip('_')}.py"
        raise ConfigurationError((f"{file}: another module has this name ({other}): {advice}",))


def _report_missing_definitions(file: Path, name: str) -> None:
    """Print to standard error if the file defines nothing that can be served."""
    if is_without_definitions(name):
        advice = "decorate a function with @tool, @resource or @prompt of tfo_mcp.plugins"
        print(f"{file.name}: has no tool, resource or prompt: {advice}", file=sys.stderr, flush=True)


async def _reload_when_saved(server: Server, file: Path, name: str) -> None:
    from watchfiles import PythonFilter, awatch

    async for _ in awatch(file.parent, watch_filter=PythonFilter(), stop_event=server.stopping):
        problems = await server.reload()
        print(f"{file.name}: {'; '.join(problems) or 'loaded again'}", file=sys.stderr, flush=True)
        if not problems:
            _report_missing_definitions(file, name)
