"""CallPolicy: anonymous access and limits of calls. A reload replaces it for all callers at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.rates import Rate


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Rates of one caller, of one address without credentials, and of one caller's calls of a tool; calls at once.

    None is no limit.
    """

    caller: Rate | None = None
    anonymous: Rate | None = None
    tools: Mapping[str, Rate] = field(default_factory=dict)
    at_once: int | None = None


@dataclass(slots=True)
class CallPolicy:
    """What holds at the moment; who serves callers looks here each time.

    `anonymous` is who calls without credentials, None where nobody may; `failures` how often one address may show what
    is wrong; `tokens_per_day` how many a caller may use with a language model, 0 is no limit. `forwarded` is who calls
    without credentials by a request that a proxy has forwarded, None where nobody may.
    """

    anonymous: Caller | None
    failures: Rate
    calls: CallLimits
    tokens_per_day: int = 0
    forwarded: Caller | None = None

    def replace(self, other: "CallPolicy") -> None:
        """Take over the values of another policy."""
        for each in fields(self):
            setattr(self, each.name, getattr(other, each.name))
