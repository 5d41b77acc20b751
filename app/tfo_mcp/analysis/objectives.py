"""Service level objectives: parses `checkout: 99.9 %` and `checkout: 95 % < 300ms`, and computes burn rates.

The first objective is a share of requests without an error; the second, of those that also end within a duration.
Requests are spans of kind server or consumer, and root spans. A burn rate is the share of bad requests over the share
that the objective allows; above 1, the error budget is overspent. Knows no store and no setting.
"""

import re

from tfo_mcp.analysis.times import show_duration
from tfo_mcp.application.ports.telemetry_query import AllOf, AnyOf, Comparison, FieldName, Predicate
from tfo_mcp.domain.text import json_of
from tfo_mcp.value_objects import value_object

_OBJECTIVE = re.compile(
    r"(?P<service>[^:]{1,200}): *(?P<percent>\d{1,2}(?:\.\d{1,4})?) *%"
    r"(?: *< *(?P<limit>\d{1,6}(?:\.\d+)?) *(?P<unit>ms|s|m))?"
)
_UNITS = {"ms": 1e6, "s": 1e9, "m": 60e9}
_REQUEST = AnyOf(
    (
        *(Comparison(FieldName("kind"), "=", kind) for kind in ("server", "consumer")),
        Comparison(FieldName("parent_span_id"), "=", ""),
    )
)
_FAILED = Comparison(FieldName("status"), "=", "error")


class InvalidObjective(ValueError):
    """A text that is no objective; the message says what to write."""


@value_object
class Objective:
    """An objective of a service: the share of its requests that must be good, and the duration in ns, if any."""

    service: str
    share: float
    limit: int | None = None

    @property
    def title(self) -> str:
        """The objective in words, such as `99.9 % < 300 ms`."""
        percent = f"{100 * self.share:.6g} %"
        return percent if self.limit is None else f"{percent} < {show_duration(self.limit)}"

    @property
    def requests(self) -> Predicate:
        """The condition of the requests that count."""
        return AllOf((Comparison(FieldName("service.name"), "=", self.service), _REQUEST))

    @property
    def bad(self) -> Predicate:
        """The condition of the requests that are not good."""
        if self.limit is None:
            return AllOf((self.requests, _FAILED))
        slow = Comparison(FieldName("duration"), ">", self.limit)
        return AllOf((self.requests, AnyOf((_FAILED, slow))))

    def burn(self, bad: float, requests: float) -> float | None:
        """Return the burn rate, None without requests."""
        return bad / requests / (1 - self.share) if requests else None


def parse_objective(text: str) -> Objective:
    """Return the objective of a text.

    Raises:
        InvalidObjective: the text is none.
    """
    found = _OBJECTIVE.fullmatch(text.strip())
    if found is None or not 0 < float(found["percent"]) < 100:
        raise InvalidObjective(f"{json_of(text)} is not `SERVICE: 99.9 %` or `SERVICE: 95 % < 300ms`")
    limit = None if found["limit"] is None else int(float(found["limit"]) * _UNITS[found["unit"]])
    return Objective(found["service"].strip(), float(found["percent"]) / 100, limit)
