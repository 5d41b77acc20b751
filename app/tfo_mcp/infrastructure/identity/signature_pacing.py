"""SignaturePacing: bounds the processor time that one network's wrong tokens cost.

A signature takes 0.05 to 1 ms of the event loop. Each network has a share of the time for signatures that turn out
wrong; beyond it, its unknown tokens are checked one after the other at that rate, so that a good one among them is
served late instead of never. Good signatures are refunded. Knows neither tokens nor keys.
"""

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

import anyio

from tfo_mcp.domain.errors import RateLimited

_SHARE = 0.2  # of the processor, for the wrong signatures of one network
_BURST_SECONDS = 0.5  # of that share: so much at once
_LONGEST_WAIT = 1.0
_MOST_NETWORKS = 4096
_FIRST_ESTIMATE = 0.0002
_LONGEST_CHECK = 0.005  # what took longer was interrupted
_WEIGHT = 0.05  # of the latest check in the estimate
_RETRY_SECONDS = 1.0


class SignaturePacing:
    """Schedules signature checks by network, and learns what they cost by algorithm."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._busy_until: OrderedDict[str, float] = OrderedDict()
        self._estimates: dict[str, float] = {}

    async def turn(self, network: str, algorithm: str) -> None:
        """Wait until the network may have a signature checked, and charge the check to it.

        Raises:
            RateLimited: too many checks of this network wait already.
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
        """Give back what a check was charged, since the signature was good."""
        if network in self._busy_until:
            self._busy_until[network] -= self._charge(algorithm)

    def learn(self, algorithm: str, seconds: float) -> None:
        """Note how long a check has taken."""
        estimate = self._estimates.get(algorithm, _FIRST_ESTIMATE)
        self._estimates[algorithm] = estimate + _WEIGHT * (min(seconds, _LONGEST_CHECK) - estimate)

    def _charge(self, algorithm: str) -> float:
        return self._estimates.get(algorithm, _FIRST_ESTIMATE) / _SHARE
