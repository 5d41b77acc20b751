"""Terms on which tests of single parts serve callers."""

from app.application.terms import CallLimits, Terms
from app.domain.rates import Rate


def unlimited() -> Terms:
    """Return terms without any limit, and with nobody who calls without credentials."""
    return Terms(None, Rate(60, 60), CallLimits())
