"""TokenQuota: the daily quota of language-model tokens per caller, which refills at a constant rate."""

from tfo_mcp.application.call_policy import CallPolicy
from tfo_mcp.application.ports import EventBus, RateStore
from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.domain.events import TokensUsed
from tfo_mcp.domain.rates import Rate
from tfo_mcp.domain.token_usage import TokenUsage

_MINUTES_OF_A_DAY = 24 * 60


class TokenQuota:
    """Checks and counts tokens in a store of rate limits; the owner of the process has no quota."""

    def __init__(self, rates: RateStore, events: EventBus, policy: CallPolicy) -> None:
        self._rates = rates
        self._events = events
        self._policy = policy

    async def require(self, caller: Caller) -> None:
        """Check that the caller has tokens left.

        Raises:
            OperationFailed: the quota is used up.
        """
        left = await self.remaining(caller)
        if left == 0:
            raise OperationFailed(
                f"Your daily quota of {self.limit(caller)} tokens is used up (limits.claude_tokens_per_day). It "
                "refills continuously: try again later"
            )

    async def count(self, caller: Caller, usage: TokenUsage) -> None:
        """Count used tokens, at most those that are left, and publish how many were used."""
        if usage.total:
            self._events.publish(TokensUsed(caller.name, usage.total))
        quota = self._quota(caller)
        if quota is not None and usage.total:
            left = await self._rates.take(_counter(caller), quota, 0)
            await self._rates.take(_counter(caller), quota, min(usage.total, left.remaining))

    async def remaining(self, caller: Caller) -> int | None:
        """Return the tokens that are left, None without a quota."""
        quota = self._quota(caller)
        return None if quota is None else (await self._rates.take(_counter(caller), quota, 0)).remaining

    def limit(self, caller: Caller) -> int | None:
        """Return the maximum of tokens per day, None without a quota."""
        quota = self._quota(caller)
        return None if quota is None else quota.burst

    def _quota(self, caller: Caller) -> Rate | None:
        tokens = self._policy.tokens_per_day
        if not tokens or caller.method == "owner":
            return None
        return Rate(tokens / _MINUTES_OF_A_DAY, tokens)


def _counter(caller: Caller) -> str:
    return f"tokens:{caller.name}"
