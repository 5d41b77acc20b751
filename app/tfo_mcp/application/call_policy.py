"""CallPolicy: anonymous access and call limits. A reload of the settings replaces its values for all callers."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.rates import Rate
from tfo_mcp.value_objects import value_object


@value_object
class CallLimits:
    """Rate limits per caller, per anonymous network and per tool, and the maximum of concurrent calls.

    None means no limit. `tools` maps tool names to the rate that one caller may call the tool at; `at_once` is the
    maximum number of concurrent calls of one account.
    """

    caller: Rate | None = None
    anonymous: Rate | None = None
    tools: Mapping[str, Rate] = field(default_factory=dict)
    at_once: int | None = None


@dataclass(slots=True)
class CallPolicy:
    """The policy in effect. Shared and mutable, so that readers must not cache its values.

    `anonymous` is the caller of requests without credentials, None if credentials are required. `forwarded` is the
    same for requests that a proxy has forwarded. `failures` limits failed authentications per network.
    `tokens_per_day` limits the language-model tokens per caller; 0 means no limit.
    """

    anonymous: Caller | None
    failures: Rate
    calls: CallLimits
    tokens_per_day: int = 0
    forwarded: Caller | None = None

    def replace(self, other: "CallPolicy") -> None:
        """Copy all values from another policy."""
        for each in fields(self):
            setattr(self, each.name, getattr(other, each.name))
