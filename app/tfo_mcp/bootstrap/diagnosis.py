"""Diagnosis: what this machine offers for the settings, as `tfo-mcp doctor` reports it."""

from collections.abc import Iterator, Sequence

import anyio

from tfo_mcp.bootstrap.exposure import access_findings
from tfo_mcp.bootstrap.protection import prepare_imports, protected_of
from tfo_mcp.bootstrap.roots import served_roots
from tfo_mcp.bootstrap.storage import default_file, storage_access, storage_url
from tfo_mcp.infrastructure.config import ConfigurationError, Settings, redacted
from tfo_mcp.infrastructure.config.shapes import RootPath
from tfo_mcp.infrastructure.config.storage_section import StorageUrl
from tfo_mcp.infrastructure.diagnosis import Finding, root_findings, sandbox_findings


def examine(settings: Settings) -> dict[str, list[Finding]]:
    """Return the findings about the sandbox, the roots, the callers, the database and shared state, by section."""
    roots = served_roots(settings)
    prepare_imports(settings, roots.paths)
    missing = [Finding("none", "note", roots.reason)] if roots.reason is not None else []
    return {
        "sandbox": list(sandbox_findings(settings, roots.paths)),
        "roots": missing or list(root_findings(settings, roots.paths, protected_of(settings))),
        "callers": list(access_findings(settings)),
        "storage": list(_storage_findings(settings, roots.paths)),
        "state": [_state_finding(settings)],
    }


def _storage_findings(settings: Settings, roots: Sequence[RootPath]) -> Iterator[Finding]:
    """Yield whether the database can be used; if none is named, for the transport and for network transports."""
    url = storage_url(settings)
    if url.kind == "memory":
        yield Finding(url.shown, "ok", "sessions end with the process")
        if settings.storage.url is not None or not settings.server.port:
            return
        url = default_file(settings)
    section = settings.storage.model_copy(update={"url": url})
    finding = _database_finding(settings.model_copy(update={"storage": section}), url, roots)
    if settings.storage.url is not None:
        yield finding
        return
    detail = f"default of network transports: {finding.detail}"
    if finding.status == "broken":
        yield Finding(finding.subject, "note", f"{detail}; without it, sessions end with the process")
    else:
        yield Finding(finding.subject, finding.status, detail)


def _database_finding(settings: Settings, url: StorageUrl, roots: Sequence[RootPath]) -> Finding:
    """Return whether a database can be reached, and the revision of its tables; creates and changes nothing."""
    try:
        access = storage_access(settings, roots, creates=False)
    except ConfigurationError as problem:
        return Finding(url.shown, "broken", problem.problems[0].removeprefix(f"storage.url: {url.shown}: "))
    if url.path is not None and not url.path.exists():
        return Finding(url.shown, "ok", "is created when a server starts")
    from tfo_mcp.infrastructure.storage.access import AccessError

    try:
        state = access.state()
    except AccessError as failure:
        return Finding(url.shown, "broken", f"cannot be used: {failure}")
    revision = "no tables" if state.revision is None else f"tables of revision {state.revision}"
    if url.kind == "sqlite" and state.pending:
        return Finding(url.shown, "ok", f"reachable, {revision}: a server migrates them when it starts")
    if state.problem is not None:
        return Finding(url.shown, "broken", f"reachable, {state.problem}")
    return Finding(url.shown, "ok", f"reachable, {revision}, up to date")


def _state_finding(settings: Settings) -> Finding:
    """Return whether the state that replicas share can be reached."""
    shown = str(redacted(settings)["state"]["url"])
    if settings.state.is_memory:
        return Finding(shown, "ok", "one process serves all requests of a session")
    try:
        from tfo_mcp.infrastructure.redis.client import problem_of
    except ImportError:
        return Finding(shown, "broken", "state.url needs the package's extra: pip install 'tfo-mcp[redis]'")
    problem = anyio.run(problem_of, settings.state.url, settings.state.timeout_seconds)
    if problem is not None:
        return Finding(shown, "broken", f"cannot be reached: {problem} (state.timeout_seconds)")
    return Finding(shown, "ok", "reachable")
