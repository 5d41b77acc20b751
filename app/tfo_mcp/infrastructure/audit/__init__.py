"""The AuditLog in a file: `summary` bounds the lines of a flood of decisions, `file` appends and rotates them."""

from tfo_mcp.application.ports import AuditEntry
from tfo_mcp.infrastructure.audit.file import AuditFile
from tfo_mcp.infrastructure.audit.summary import AuditSummary

__all__ = ["AuditFile", "AuditSummary", "NoAudit"]


class NoAudit:
    """The AuditLog that keeps nothing."""

    def write(self, entry: AuditEntry) -> bool:
        """Keep nothing."""
        return True
