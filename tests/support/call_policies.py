"""CallPolicy on which tests of single parts serve callers."""

from tfo_mcp.application.call_policy import CallLimits, CallPolicy
from tfo_mcp.domain.rates import Rate


def unlimited() -> CallPolicy:
    """Return terms without any limit, and with nobody who calls without credentials."""
    return CallPolicy(None, Rate(60, 60), CallLimits())
