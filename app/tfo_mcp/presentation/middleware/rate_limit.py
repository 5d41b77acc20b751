"""Rate limits: how often a caller may call, how often one tool, and how much at once.

Calls are counted by account. The owner of the process has no limits.
"""

from collections import Counter
from functools import cache

from tfo_mcp.application.call_policy import CallPolicy
from tfo_mcp.application.ports import EventBus, RateStore
from tfo_mcp.domain.errors import RateLimited
from tfo_mcp.domain.events import RateLimitDecided
from tfo_mcp.domain.rates import Rate
from tfo_mcp.presentation.middleware import Next
from tfo_mcp.presentation.protocol.call import Call

_AT_ONCE_RETRY_SECONDS = 1.0
_decided = cache(RateLimitDecided)  # there are few, and many calls


class RateLimit:
    """Counts calls."""

    def __init__(self, rates: RateStore, policy: CallPolicy, events: EventBus) -> None:
        self._rates = rates
        self._policy = policy
        self._events = events
        self._running: Counter[str] = Counter()

    async def __call__(self, call: Call, call_next: Next) -> bytes:
        """Serve the call if there have not been too many.

        Raises:
            RateLimited: there have been; it says when there may be more.
        """
        caller, limits = call.caller, self._policy.calls
        if caller.method == "owner":
            return await call_next(call)
        rate = limits.anonymous if caller.method == "anonymous" else limits.caller
        if rate is None and limits.at_once is None and not limits.tools:
            return await call_next(call)
        who = call.facts.account
        if rate is not None:
            await self._count(who, rate, "calls", "You have")
        if limits.tools and call.method == "tools/call":
            name = call.params["name"]
            if (rate := limits.tools.get(name)) is not None:
                await self._count(f"{who} tool:{name}", rate, f"tool {name}", f"The tool {name} was")
        if limits.at_once is None:
            return await call_next(call)
        return await self._beside_others(call, call_next, who, limits.at_once)

    async def _beside_others(self, call: Call, call_next: Next, who: str, most: int) -> bytes:
        if self._running[who] >= most:
            self._events.publish(_decided(False, "at once"))
            message = f"You have {most} calls running already: wait until one has ended"
            raise RateLimited(message, _AT_ONCE_RETRY_SECONDS, "at once", most)
        self._running[who] += 1
        try:
            return await call_next(call)
        finally:
            self._running[who] -= 1
            if not self._running[who]:
                del self._running[who]

    async def _count(self, name: str, rate: Rate, policy: str, subject: str) -> None:
        admission = await self._rates.take(name, rate)
        self._events.publish(_decided(admission.allowed, policy))
        if not admission.allowed:
            message = f"{subject} called too often: {rate.per_minute:g} a minute are allowed"
            raise RateLimited(message, admission.retry_after, policy, rate.burst)
