"""`tfo-mcp doctor`: report what the machine supports, problems of the configuration, and the origin of each setting."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict

from tfo_mcp.bootstrap import ConfigurationError, Finding, Settings, examine, redacted, server_version, worker_count
from tfo_mcp_transports.cli.effective_settings import settings_of
from tfo_mcp_transports.cli.health import NoAnswer, ask_readiness
from tfo_mcp_transports.cli.json_output import as_json
from tfo_mcp_transports.cli.listeners import listen_tcp, listening_unix
from tfo_mcp_transports.cli.options import ConfigOption, JsonOption
from tfo_mcp_transports.cli.run_files import running_servers

_OWN_SERVER = "the server of this configuration listens here"


def doctor(
    config: ConfigOption = None,
    in_json: JsonOption = False,
) -> None:
    """Report which sandbox this machine supports, whether roots and ports are usable, and where each setting is set.

    The exit code is 1 when something that is configured cannot be used.
    """
    settings = settings_of(config)
    findings = {**examine(settings), "processes": [_worker_finding(settings)], "ports": list(_port_findings(settings))}
    configured = list(_configured(settings))
    if in_json:
        plain = {section: [asdict(finding) for finding in found] for section, found in findings.items()}
        print(as_json({"version": server_version(), **plain, "settings": configured}))
    else:
        _print(findings, configured)
    if any(finding.status == "broken" for found in findings.values() for finding in found):
        sys.exit(1)


def _worker_finding(settings: Settings) -> Finding:
    """Return how many processes serve, or why the configured number cannot."""
    try:
        count = worker_count(settings)
    except ConfigurationError as problem:
        return Finding("server.workers", "broken", "; ".join(problem.problems))
    return Finding("server.workers", "ok", "one process serves" if count == 1 else f"{count} processes serve")


def _port_findings(settings: Settings) -> Iterator[Finding]:
    """Yield whether the server can listen on the configured addresses, by binding them for a moment."""
    name = f"{settings.server.host}:{settings.server.port}"
    try:
        listen_tcp(settings).close()
        yield Finding(name, "ok", "free")
    except ConfigurationError as problem:
        running = _own_server(settings)
        if running is None:
            yield Finding(name, "broken", problem.problems[0])
        else:
            yield Finding(name, "ok", f"{_OWN_SERVER} ({running})")
    if settings.server.socket_path is None:
        return
    with ExitStack() as stack:
        try:
            stack.enter_context(listening_unix(settings))
            yield Finding(str(settings.server.socket_path), "ok", "free")
        except ConfigurationError as problem:
            running = _own_processes(settings)
            if running is None:
                yield Finding(str(settings.server.socket_path), "broken", problem.problems[0])
            else:
                yield Finding(str(settings.server.socket_path), "ok", f"{_OWN_SERVER} ({running})")


def _own_server(settings: Settings) -> str | None:
    """Return the processes of the running server of this configuration, None unless one answers at its address."""
    found = _own_processes(settings)
    if found is None:
        return None
    try:
        ask_readiness(settings)
    except NoAnswer:
        return None
    return found


def _own_processes(settings: Settings) -> str | None:
    """Return the ids of the running processes with this configuration, None without any."""
    source = None if settings.source is None else str(settings.source)
    found = [server.pid for server in running_servers() if server.config == source]
    return f"process {', '.join(map(str, found))}" if found else None


def _configured(settings: Settings) -> Iterator[dict[str, object]]:
    """Yield the configured settings with their values and origins; secrets are left out."""
    shown, defaults = redacted(settings), redacted(Settings())
    for name, origin in settings.origins.items():
        section, key = name.split(".")
        value = shown[section][key]
        yield {"name": name, "value": value, "origin": origin, "is_default": value == defaults[section][key]}


def _print(findings: Mapping[str, list[Finding]], configured: list[dict[str, object]]) -> None:
    print(f"tfo-mcp {server_version()}")
    for section, found in findings.items():
        print(f"\n{section}")
        width = max((len(finding.subject) for finding in found), default=0)
        for finding in found:
            print(f"  {finding.status:<7} {finding.subject:<{width}}  {finding.detail}")
    print("\nsettings")
    others = [setting for setting in configured if not setting["is_default"]]
    for setting in others:
        print(f"  {setting['name']}: {json.dumps(setting['value'], ensure_ascii=False)}  ({setting['origin']})")
    print(f"  {'all' if not others else 'the others'} have their defaults")
