"""SignaturePacing: bounds the processor time of wrong tokens by network.

A signature check takes 0.05 to 1 ms of the event loop. Each network has a share of processor time for wrong signatures.
Beyond it, its unknown tokens are checked one at a time at that rate, so that a valid token among them is delayed
instead of rejected. Checks of valid signatures are refunded. Must not know tokens or keys.
"""

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

import anyio

from tfo_mcp.domain.errors import RateLimited

_SHARE = 0.2  # of one processor, for the wrong signatures of one network
_BURST_SECONDS = 0.5  # of that share, without waiting
_LONGEST_WAIT = 1.0
_MOST_NETWORKS = 4096
_FIRST_ESTIMATE = 0.0002
_LONGEST_CHECK = 0.005  # a longer duration includes an interruption
_WEIGHT = 0.05  # of the latest check in the moving average
_RETRY_SECONDS = 1.0


class SignaturePacing:
    """Schedules signature checks by network, and estimates their duration by algorithm."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._busy_until: OrderedDict[str, float] = OrderedDict()
        self._estimates: dict[str, float] = {}

    async def turn(self, network: str, algorithm: str) -> None:
        """Wait until a signature of this network may be checked, and charge the check to the network.

        Raises:
            RateLimited: too many checks of this network are already waiting.
        """
        now = self._clock()
        busy_until = max(now, self._busy_until.get(network, now))
        wait = busy_until - now - _BURST_SECONDS
        if wait > _LONGEST_WAIT:
            message = "Too many tokens with wrong signatures came from this address: try again later"
            raise RateLimited(message, _RETRY_SECONDS, "authentication", 1)
        self._busy_until[network] = busy_until + self._charge(algorithm)
        self._busy_until.move_to_end(network)
        if len(self._busy_until) > _MOST_NETWORKS:
            self._busy_until.popitem(last=False)
        if wait > 0:
            await anyio.sleep(wait)

    def refund(self, network: str, algorithm: str) -> None:
        """Refund the charge of a check whose signature was valid."""
        if network in self._busy_until:
            self._busy_until[network] -= self._charge(algorithm)

    def learn(self, algorithm: str, seconds: float) -> None:
        """Update the estimate with the duration of a check, in seconds."""
        estimate = self._estimates.get(algorithm, _FIRST_ESTIMATE)
        self._estimates[algorithm] = estimate + _WEIGHT * (min(seconds, _LONGEST_CHECK) - estimate)

    def _charge(self, algorithm: str) -> float:
        return self._estimates.get(algorithm, _FIRST_ESTIMATE) / _SHARE
