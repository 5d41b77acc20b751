"""Diagnosis: what this machine offers for the settings, as `tfo-mcp doctor` reports it."""

from tfo_mcp.bootstrap.exposure import access_findings
from tfo_mcp.bootstrap.protection import prepare_imports, protected_of
from tfo_mcp.bootstrap.roots import served_roots
from tfo_mcp.infrastructure.config import Settings
from tfo_mcp.infrastructure.diagnosis import Finding, root_findings, sandbox_findings


def examine(settings: Settings) -> dict[str, list[Finding]]:
    """Return the findings about the sandbox, the roots and the callers, by section."""
    roots = served_roots(settings)
    prepare_imports(settings, roots.paths)
    missing = [Finding("none", "note", roots.reason)] if roots.reason is not None else []
    return {
        "sandbox": list(sandbox_findings(settings, roots.paths)),
        "roots": missing or list(root_findings(settings, roots.paths, protected_of(settings))),
        "callers": list(access_findings(settings)),
    }
