"""Rate limits: calls per caller, calls per tool, and concurrent calls per caller.

Calls are counted per account. The process owner (local transports such as stdio) is exempt.
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
_decided = cache(RateLimitDecided)  # few distinct events, published for every call


class RateLimit:
    """Enforces the rate limits and the limit of concurrent calls."""

    def __init__(self, rates: RateStore, policy: CallPolicy, events: EventBus) -> None:
        self._rates = rates
        self._policy = policy
        self._events = events
        self._running: Counter[str] = Counter()

    async def __call__(self, call: Call, call_next: Next) -> bytes:
        """Serve the call if it is within the limits.

        Raises:
            RateLimited: a limit is exceeded; it says when to retry.
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
        if limits.at_once is None or call.parent is not None:  # a nested call is part of its outer one
            return await call_next(call)
        return await self._beside_others(call, call_next, who, limits.at_once)

    async def _beside_others(self, call: Call, call_next: Next, who: str, most: int) -> bytes:
        if self._running[who] >= most:
            self._events.publish(_decided(False, "at once"))
            message = f"You already have {most} calls running: wait until one has ended"
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
            message = f"{subject} called too often: the limit is {rate.per_minute:g} calls per minute"
            raise RateLimited(message, admission.retry_after, policy, rate.burst)
