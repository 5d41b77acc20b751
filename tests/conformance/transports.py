"""The transports that the official conformance suite runs over, and the checks that cannot pass on each.

The suite speaks Streamable HTTP. A bridge takes it to other transports. A proxy that changes the revision date in
requests makes it speak older revisions. Owns the differences that follow from the transport; `suite` owns the verdicts.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

from tests.conformance.bridge import bridge_to
from tests.conformance.rewriting_proxy import rewriting_proxy
from tests.conformance.suite import SCORED, Difference
from tests.support.balanced import REPLICAS
from tests.support.envelopes import HANDSHAKE_REVISIONS, LATEST_HANDSHAKE, STATELESS
from tests.support.services import Services

BRIDGED = ("stdio", "websocket")

FIRST, SECOND, THIRD, LATEST = HANDSHAKE_REVISIONS


def differences(because: str, *found: tuple[str, str, str]) -> tuple[Difference, ...]:
    """Return differences that have one reason; each is the scenario, the check and what the suite says."""
    return tuple(Difference(*one, because) for one in found)


POLLING = (
    ("server-sse-polling", "server-sse-priming-event", "did not send priming event"),
    ("server-sse-polling", "server-sse-retry-field", "did not send retry field"),
    ("server-sse-polling", "server-sse-disconnect-resume", "Server closes SSE stream mid-call"),
)
NOT_REFUSED = "Expected HTTP 400, got 200"
NO_MISMATCH = "Expected JSON-RPC error code -32020 (HeaderMismatch), got (missing)"

# None of these scenarios is scored: they look at HTTP itself, and behind a bridge there is none.
BEHIND_A_BRIDGE: Mapping[str, tuple[Difference, ...]] = {
    LATEST_HANDSHAKE: differences("Event ids, retry times and resuming belong to the streams of HTTP", *POLLING),
    STATELESS: differences(
        "Headers that repeat the body belong to HTTP; the bridge passes the body on",
        ("http-header-validation", "sep-2243-server-reject-invalid-headers", NOT_REFUSED),
        ("http-header-validation", "sep-2243-server-reject-error-code", NO_MISMATCH),
        ("http-custom-header-server-validation", "sep-2243-server-reject-invalid-param-chars", NOT_REFUSED),
        ("http-custom-header-server-validation", "sep-2243-server-reject-param-mismatch", NO_MISMATCH),
        ("http-custom-header-server-validation", "sep-2243-server-validate-param-match", NOT_REFUSED),
    ),
}

# Not scored either.
NO_POLLING = differences(f"Streams that begin with an empty event and close during a call came with {LATEST}", *POLLING)
# Scored; but the suite looks for what the revision does not have, and what the server therefore must not send.
NO_AUDIO = differences(
    f"Audio came with {SECOND}; before, the same bytes are an embedded resource",
    ("tools-call-audio", "tools-call-audio", "No audio content found"),
)
AT_AN_OLDER_REVISION: Mapping[str, tuple[Difference, ...]] = {
    FIRST: (*NO_POLLING, *NO_AUDIO),
    SECOND: NO_POLLING,
    THIRD: NO_POLLING,
}


@dataclass(frozen=True)
class Transport:
    """A way to what serves the fixture, for one set of requirements; `open` yields the URL that the suite is given."""

    name: str
    requirements: str
    open: Callable[[Services], AbstractContextManager[str]]
    differences: tuple[Difference, ...] = ()

    def __str__(self) -> str:
        """Name the transport and the requirements."""
        return f"{self.name}-{self.requirements}"


@contextmanager
def plain_http(services: Services) -> Iterator[str]:
    """Yield the endpoint of the server itself."""
    yield services.processes.network.url


@contextmanager
def through_bridge(transport: str, services: Services) -> Iterator[str]:
    """Yield a bridge to another transport."""
    with bridge_to(partial(services.connect, transport)) as bridge:
        yield bridge.url


@contextmanager
def through_proxy(revision: str, services: Services) -> Iterator[str]:
    """Yield a proxy to the endpoint that makes the suite ask for another revision."""
    with rewriting_proxy(services.processes.network, LATEST_HANDSHAKE, revision) as proxy:
        yield proxy.url


def bridged(transport: str, requirements: str) -> Transport:
    """Return the transport through a bridge."""
    return Transport(transport, requirements, partial(through_bridge, transport), BEHIND_A_BRIDGE[requirements])


def speaking(revision: str) -> Transport:
    """Return the transport on which the suite speaks that revision."""
    through = partial(through_proxy, revision)
    return Transport(f"http-speaking-{revision}", LATEST_HANDSHAKE, through, AT_AN_OLDER_REVISION[revision])


TRANSPORTS = (
    *(Transport("http", requirements, plain_http) for requirements in SCORED),
    *(bridged(transport, requirements) for transport in BRIDGED for requirements in SCORED if REPLICAS == 1),
    *(speaking(revision) for revision in HANDSHAKE_REVISIONS if revision != LATEST_HANDSHAKE),
)
"""Against replicas (`make replicas`), those over HTTP."""
