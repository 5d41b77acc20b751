"""Refusal: a request that could not even be opened as a call, with the revision in which to say so."""

from pydantic import ValidationError

from app.presentation.protocol.faults import Fault
from app.presentation.protocol.revisions import Revision

_MOST_PROBLEMS = 3


class Refusal(Exception):
    """Carries the fault and the revision whose codes and statuses tell it."""

    def __init__(self, fault: Fault, revision: Revision) -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.revision = revision


def describe_invalid(problem: ValidationError) -> str:
    """Return what is wrong with params in one line: the paths and reasons, never the values."""
    errors = problem.errors(include_url=False, include_input=False, include_context=False)
    clauses = [
        f"{'.'.join(str(part) for part in error['loc'] if part != 'params') or 'params'}: {error['msg']}"
        for error in errors[:_MOST_PROBLEMS]
    ]
    return f"Invalid params: {'; '.join(clauses)}"
