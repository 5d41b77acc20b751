"""Says why the Messages API has not replied, in words for the client.

Knows the statuses of the API and the causes of the SDK's exceptions. API keys, addresses and the SDK's own texts are
not repeated; only the API's message is, where it says what to change.
"""

import math
import ssl
from collections.abc import Iterator, Mapping
from email.utils import mktime_tz, parsedate_tz
from socket import gaierror
from time import time

from tfo_mcp.application.ports import ModelFailed
from tfo_mcp.infrastructure.claude.connection import Provider
from tfo_mcp.infrastructure.claude.environment import named_proxy
from tfo_mcp.infrastructure.claude.replies import IncompleteReply, SilentReply

_LONGEST_REASON = 500
_LONGEST_WAIT = 100 * 365 * 24 * 60 * 60  # seconds; a longer one is no information
_API = "The Claude API"
_DEFAULT_URL = "https://api.anthropic.com"
_WORDS_BY_STATUS = {
    401: f"{_API} does not accept the API key: check ANTHROPIC_API_KEY or the setting claude.api_key",
    402: f"{_API} requires payment: check the billing of the account that the API key belongs to",
    407: f"The proxy before {_API} requires authentication: check the proxy's URL in the environment",
    413: f"{_API} rejects the message as too large: shorten it",
}
_TRY_AGAIN_BY_STATUS = {
    429: f"{_API} limits the rate of requests",
    503: f"{_API} is overloaded",
    529: f"{_API} is overloaded",
}
_HINTS_BY_STATUS = {  # for these, the API's error message says what to change
    400: "",
    403: " (check the permissions of the API key)",
    404: " (check the model, and the setting claude.base_url)",
    422: "",
}
_OF_PLATFORM = {  # instead of the words above, for a provider whose credentials are those of the environment
    401: " does not accept the credentials in the environment: check them, and restart the server",
    402: " requires payment: check the billing of the account that the credentials belong to",
    403: " (check the credentials in the environment, and their permissions)",
    404: " (check the model, and the setting claude.region)",
}
_STATUS_BY_TYPE = {  # of an error that the API reports within a stream (Messages API, Errors; Bedrock, ResponseStream)
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
    "internalServerException": 500,
    "modelStreamErrorException": 500,
    "modelTimeoutException": 504,
    "serviceUnavailableException": 503,
    "throttlingException": 429,
    "validationException": 400,
}
_DECODERS = ("botocore.eventstream", "botocore.parsers")  # of the frames of Bedrock's streams
_HTTP_CLIENTS = ("httpx2", "httpx", "httpcore2", "httpcore")
_NO_HTTP = ("RemoteProtocolError", "LocalProtocolError", "DecodingError")
_REASONS = (
    (ssl.SSLCertVerificationError, " has a certificate that is not trusted, and"),
    (ssl.SSLError, " does not speak TLS, and"),
    (gaierror, " has a host name that cannot be resolved, and"),
    (ConnectionRefusedError, " refuses the connection, and"),
    (ConnectionError, " has closed the connection, and"),
)
_CLOSED_EARLY = "without sending"  # in the texts of the HTTP client for a connection that ends before the response does


class Failures:
    """Makes the errors of one API.

    Args:
        provider: where the model runs; its API key is left out of every error.
        timeout_seconds: maximum seconds of one reply.
        silence_seconds: maximum seconds between two events of a stream.
    """

    def __init__(self, provider: Provider, timeout_seconds: float, silence_seconds: float) -> None:
        self._api_key = provider.key if provider.kind == "anthropic" else ""
        self._base_url = provider.base_url or _DEFAULT_URL
        self._of_platform = {} if provider.kind == "anthropic" else _OF_PLATFORM
        self._timeout_seconds = timeout_seconds
        self._silence_seconds = silence_seconds

    def too_slow(self, *, has_started: bool = False, max_tokens: int = 0) -> ModelFailed:
        """Return the error for a reply that takes too long; `has_started` if a part of it has arrived."""
        if has_started:
            return ModelFailed(
                f"{_API} has not finished its reply of up to {max_tokens} tokens within {self._timeout_seconds:g} "
                "seconds: ask for less with max_tokens, or raise claude.timeout_seconds"
            )
        return ModelFailed(f"{_API} has not answered within {self._timeout_seconds:g} seconds (claude.timeout_seconds)")

    def failure(self, error: Exception) -> ModelFailed | None:
        """Return the error for an exception of the SDK or of its HTTP client, None for another exception."""
        from anthropic import AnthropicError, APIConnectionError, APIStatusError, APITimeoutError

        module = type(error).__module__
        match error:
            case APITimeoutError() if not _has(error, "ConnectTimeout"):
                return self.too_slow()
            case _ if isinstance(error, APIConnectionError) or module.partition(".")[0] in _HTTP_CLIENTS:
                return self._connection_failure(error)
            case APIStatusError():
                return self.refusal(_status_of(error), error.response.headers, error.api_message or _message_of(error))
            case AnthropicError() | ValueError():
                return self._broken(error)
            case _ if module in _DECODERS:
                return _invalid()
        return None

    def refusal(self, status: int, headers: Mapping[str, str], message: str | None) -> ModelFailed:
        """Return the error for an HTTP status.

        Args:
            status: the status.
            headers: the headers of the response.
            message: the API's own message, if it is known.
        """
        if status in _TRY_AGAIN_BY_STATUS:
            wait = seconds_to_wait(headers)
            when = "later" if wait is None or wait > _LONGEST_WAIT else f"in {math.ceil(wait)} seconds"
            return ModelFailed(f"{_TRY_AGAIN_BY_STATUS[status]}: try again {when}")
        if status in _WORDS_BY_STATUS:
            words = self._of_platform.get(status)
            return ModelFailed(f"{_API}{words}" if words else _WORDS_BY_STATUS[status])
        if status in _HINTS_BY_STATUS:
            reason = str(message or f"HTTP {status}")
            if self._api_key:
                reason = reason.replace(self._api_key, "***")
            reason = reason[:_LONGEST_REASON]
            hint = self._of_platform.get(status, _HINTS_BY_STATUS[status])
            return ModelFailed(f"{_API} refuses the request: {reason}{hint}")
        return ModelFailed(f"{_API} failed with HTTP {status}: try again later")

    def _broken(self, error: Exception) -> ModelFailed:
        if isinstance(error, SilentReply):
            return ModelFailed(
                f"{_API} has sent nothing for {self._silence_seconds:g} seconds in the middle of its reply "
                "(claude.silence_seconds): try again"
            )
        return _closed() if isinstance(error, IncompleteReply) else _invalid()

    def _connection_failure(self, error: Exception) -> ModelFailed:
        if _has(error, "ProxyError"):
            return ModelFailed(f"The proxy before {_API} refuses the connection: check {self._proxy()}")
        if _has(error, *_NO_HTTP):
            return _closed() if any(_CLOSED_EARLY in str(cause) for cause in _causes(error)) else _invalid()
        reason = next((words for kind, words in _REASONS if any(isinstance(one, kind) for one in _causes(error))), "")
        through = "" if named_proxy(self._base_url) is None else f", {self._proxy()}"
        return ModelFailed(
            f"{_API}{reason} cannot be reached: check the network{through} and the setting claude.base_url"
        )

    def _proxy(self) -> str:
        return f"the proxy in the environment variable {named_proxy(self._base_url) or 'HTTPS_PROXY'}"


def is_outage(error: Exception) -> bool:
    """Return whether an exception means that the API does not work, rather than that it refuses this request."""
    from anthropic import APIStatusError

    return not isinstance(error, APIStatusError) or _status_of(error) >= 500


def seconds_to_wait(headers: Mapping[str, str]) -> float | None:
    """Return how long the API asks to wait, None if it does not say: infinity for what can never be waited for.

    Reads `Retry-After-Ms`, and `Retry-After` as seconds or as an HTTP date (RFC 9110, 10.2.3), in the SDK's order.
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
        return seconds if seconds > 0 else None
    date = parsedate_tz(headers.get("retry-after", ""))
    try:
        seconds = 0.0 if date is None else mktime_tz(date) - time()
    except (ValueError, OverflowError):
        return None
    return seconds if seconds > 0 else None


def _status_of(error: Exception) -> int:
    """Return the HTTP status of an error; one that was reported within a stream has only its type."""
    status = int(error.status_code)  # type: ignore[attr-defined]
    if status >= 400:
        return status
    body = getattr(error, "body", None)
    inner = body.get("error") if isinstance(body, dict) else None
    kind = inner.get("type") if isinstance(inner, dict) else None
    return _STATUS_BY_TYPE.get(str(kind), 500)


def _message_of(error: Exception) -> str | None:
    """Return the message in the error bodies of Bedrock, an object with `message`, and of Vertex AI, a list."""
    match getattr(error, "body", None):
        case {"message": str(message)} | [{"error": {"message": str(message)}}]:
            return message
    return None


def _invalid() -> ModelFailed:
    return ModelFailed(f"{_API} returned an invalid message: check the setting claude.base_url")


def _closed() -> ModelFailed:
    return ModelFailed(f"{_API} has closed the connection before the end of its answer: try again")


def _has(error: Exception, *names: str) -> bool:
    """Return whether an exception of the HTTP client has caused the error; the SDK's versions use different clients."""
    return any(type(cause).__name__ in names for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        if isinstance(found, BaseExceptionGroup):
            for one in found.exceptions:
                yield from _causes(one)
        found = found.__cause__ or found.__context__
