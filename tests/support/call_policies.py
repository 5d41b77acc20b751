"""Call policies for tests of single parts of the application."""

from tfo_mcp.application.call_policy import CallLimits, CallPolicy
from tfo_mcp.domain.rates import Rate


def unlimited() -> CallPolicy:
    """Return a policy without limits and without anonymous access."""
    return CallPolicy(None, Rate(60, 60), CallLimits())
