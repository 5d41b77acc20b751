"""What failures of a database mean, and their reasons for operators. Imports no driver: most servers have a file."""

import sys

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

_FAILURES = (SQLAlchemyError, OSError, TimeoutError)
_OUTAGES = ("08", "53", "57P")
"""SQLSTATEs of connections that broke, of a lack of resources, and of a server that starts or stops."""


def failures() -> tuple[type[Exception], ...]:
    """Return the exceptions that are raised if a database fails or cannot be reached."""
    if (asyncpg := sys.modules.get("asyncpg")) is None:
        return _FAILURES
    return (*_FAILURES, asyncpg.PostgresError, asyncpg.InterfaceError)


def is_outage(problem: BaseException) -> bool:
    """Return whether a database is away for now, or has refused for a reason that only an operator can change."""
    if isinstance(problem, OSError | TimeoutError):
        return True
    return (getattr(problem, "sqlstate", None) or "").startswith(_OUTAGES)


def reason_of(problem: BaseException) -> str:
    """Return why the database failed, for operators; without statements, parameters and the URL."""
    if isinstance(problem, DBAPIError) and problem.orig is not None:
        problem = problem.orig
    if isinstance(problem, TimeoutError):
        return "it does not answer in time"
    if isinstance(problem, OSError):
        return problem.strerror or str(problem)
    lines = str(problem).splitlines()
    return lines[0].rpartition(">: ")[2] if lines else type(problem).__name__
