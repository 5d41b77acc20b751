"""Claude: the LanguageModel that uses the Anthropic SDK.

Owns the translation of conversations to requests of the Messages API, and the error messages for failures of the API.
The SDK takes most of a second to import, so it is imported on first use, in a worker thread. One deadline covers a
reply including all retries. Settings are plain values. API keys and error texts of the SDK never leave this module.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.to_thread

from tfo_mcp.application.ports import ModelReply, ModelRequest, Telemetry
from tfo_mcp.domain.errors import NotConfigured, OperationFailed

if TYPE_CHECKING:
    from anthropic import APIRequest, APIStatusError, AsyncAnthropic, AsyncAPIResponse, AsyncCallNext
    from anthropic.types import MessageParam

_CONNECT_SECONDS = 5.0
_VERSION_WITH_TEMPERATURE = "2023-06-01"  # later versions of the API reject sampling parameters for all models
_LONGEST_REASON = 500
_API = "The Claude API"
_WORDS_BY_STATUS = {
    401: f"{_API} does not accept the API key: check ANTHROPIC_API_KEY or the setting claude.api_key",
    402: f"{_API} requires payment: check the billing of the account that the API key belongs to",
    413: f"{_API} rejects the message as too large: shorten it",
}
_TRY_AGAIN_BY_STATUS = {
    429: f"{_API} limits the rate of requests",
    503: f"{_API} is overloaded",
    529: f"{_API} is overloaded",
}
_REASON_HELPS = frozenset({400, 403, 404, 422})  # for these, the API's error message says what to change


class Claude:
    """Replies by means of the Messages API.

    Args:
        api_key: the API key; with None every reply fails with an error that says what to configure.
        base_url: base URL of the API; None uses the SDK's default.
        model: model of requests that name none.
        max_tokens: maximum tokens of replies to requests without a maximum.
        timeout_seconds: maximum seconds of one reply, including all retries.
        max_retries: maximum number of retries.
        telemetry: records each request.
    """

    def __init__(
        self,
        *,
        api_key: str | None,
        base_url: str | None,
        model: str,
        max_tokens: int,
        timeout_seconds: float,
        max_retries: int,
        telemetry: Telemetry,
    ) -> None:
        self._api_key = (api_key or "").strip()
        self._base_url = base_url
        self._model = model
        self._max_tokens = max_tokens
        self._timeout_seconds = timeout_seconds
        self._max_retries = max_retries
        self._telemetry = telemetry
        self._client: AsyncAnthropic | None = None
        self._connecting = anyio.Lock()

    async def reply(self, request: ModelRequest) -> ModelReply:
        """Return the model's next turn.

        Raises:
            NotConfigured: there is no usable API key, or the SDK is not installed.
            OperationFailed: the API refused the request, failed, timed out or could not be reached.
        """
        client = await self._connected()
        model, max_tokens = request.model or self._model, request.max_tokens or self._max_tokens
        with self._telemetry.asking(request, model, max_tokens) as watched:
            reply = await self._ask(client, request, model, max_tokens)
            watched.answered(reply)
            return reply

    async def _ask(self, client: "AsyncAnthropic", request: ModelRequest, model: str, max_tokens: int) -> ModelReply:
        from anthropic import AnthropicError  # imported already, in a worker thread

        try:
            with anyio.fail_after(self._timeout_seconds):
                answer: object = await client.messages.create(
                    model=model,
                    max_tokens=max_tokens,
                    messages=[
                        cast("MessageParam", {"role": turn.role, "content": turn.text}) for turn in request.messages
                    ],
                    **_options(request),
                )
        except TimeoutError:
            raise self._too_slow() from None
        except (AnthropicError, ValueError) as error:
            raise self._failure(error) from None
        return _model_reply(answer)

    async def aclose(self) -> None:
        """Close the connections to the API."""
        if self._client is not None:
            await self._client.close()

    async def _connected(self) -> "AsyncAnthropic":
        if not self._api_key:
            raise NotConfigured(
                "No API key is configured for Claude: set the environment variable ANTHROPIC_API_KEY or the setting "
                "claude.api_key, and restart the server"
            )
        if not (self._api_key.isascii() and self._api_key.isprintable()):
            raise NotConfigured("The API key contains invalid characters: check ANTHROPIC_API_KEY or claude.api_key")
        async with self._connecting:
            if self._client is None:
                try:
                    self._client = await anyio.to_thread.run_sync(self._connect)
                except ImportError:
                    raise NotConfigured("The Anthropic SDK is missing: install the Python package anthropic") from None
            return self._client

    def _connect(self) -> "AsyncAnthropic":
        from anthropic import AsyncAnthropic, Timeout

        return AsyncAnthropic(
            api_key=self._api_key,
            base_url=self._base_url,
            timeout=Timeout(self._timeout_seconds, connect=min(_CONNECT_SECONDS, self._timeout_seconds)),
            max_retries=self._max_retries,
            middleware=[_give_up_on_long_waits],
        )

    def _too_slow(self) -> OperationFailed:
        return OperationFailed(
            f"{_API} has not answered within {self._timeout_seconds:g} seconds (claude.timeout_seconds)"
        )

    def _failure(self, error: Exception) -> OperationFailed:
        from anthropic import APIConnectionError, APIStatusError, APITimeoutError

        match error:
            case APITimeoutError():
                return self._too_slow()
            case APIConnectionError():
                return OperationFailed(f"{_API} cannot be reached: check the network and the setting claude.base_url")
            case APIStatusError():
                return OperationFailed(self._refusal(error))
            case _:
                return _not_understood()

    def _refusal(self, error: "APIStatusError") -> str:
        status = error.status_code
        if status in _TRY_AGAIN_BY_STATUS:
            wait = _seconds_to_wait(error.response.headers)
            return f"{_TRY_AGAIN_BY_STATUS[status]}: try again {'later' if wait is None else f'in {wait:g} seconds'}"
        if status in _WORDS_BY_STATUS:
            return _WORDS_BY_STATUS[status]
        if status in _REASON_HELPS:
            reason = str(error.api_message or f"HTTP {status}").replace(self._api_key, "***")[:_LONGEST_REASON]
            return f"{_API} refuses the request: {reason}"
        return f"{_API} failed with HTTP {status}: try again later"


def _options(request: ModelRequest) -> dict[str, Any]:
    """Return the optional arguments of a request."""
    options: dict[str, Any] = {}
    if request.system_prompt:
        options["system"] = request.system_prompt
    if request.temperature is not None:
        options["extra_body"] = {"temperature": request.temperature}
        options["extra_headers"] = {"anthropic-version": _VERSION_WITH_TEMPERATURE}
    return options


def _model_reply(answer: object) -> ModelReply:
    """Return the reply in an answer, after validation: the SDK does none, and `base_url` may point to any server."""
    from anthropic.types import Message

    if not isinstance(answer, Message):
        raise _not_understood()
    try:
        return ModelReply(
            text="".join(block.text for block in answer.content if block.type == "text"),
            model=str(answer.model),
            stop_reason=answer.stop_reason,
            input_tokens=int(answer.usage.input_tokens),
            output_tokens=int(answer.usage.output_tokens),
        )
    except (AttributeError, TypeError):
        raise _not_understood() from None


def _not_understood() -> OperationFailed:
    return OperationFailed(f"{_API} returned an invalid message: check the setting claude.base_url")


async def _give_up_on_long_waits(request: "APIRequest", call_next: "AsyncCallNext") -> "AsyncAPIResponse[Any]":
    """Stop the SDK from waiting for a retry beyond the deadline, so that the caller learns how long to wait."""
    response = await call_next(request)
    wait = _seconds_to_wait(response.headers) if response.status_code >= 400 else None
    if wait is not None and wait >= anyio.current_effective_deadline() - anyio.current_time():
        response.headers["x-should-retry"] = "false"
    return response


def _seconds_to_wait(headers: Mapping[str, str]) -> float | None:
    try:
        seconds = float(headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return seconds if seconds >= 0 and math.isfinite(seconds) else None
