"""Claude: sends conversations to the Messages API by means of the Anthropic SDK.

Every request asks for a stream, so that no intermediary closes an idle connection and the SDK sends it however many
tokens it may take. One deadline covers a reply including all retries; a stream that has begun is not repeated. After
several failures in a row, requests fail at once for a moment. API keys and error texts of the SDK never leave this
package.
"""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from tfo_mcp.application.breaker import Breaker
from tfo_mcp.application.ports import ModelFailed, ModelReply, ModelRequest, OnAbandoned, OnText, Telemetry
from tfo_mcp.domain.conversation import ModelSettings
from tfo_mcp.infrastructure.claude.connection import Provider, connect
from tfo_mcp.infrastructure.claude.failures import Failures, is_outage, seconds_to_wait
from tfo_mcp.infrastructure.claude.models import KnownModels
from tfo_mcp.infrastructure.claude.prices import Price, Prices
from tfo_mcp.infrastructure.claude.replies import ReplyReader
from tfo_mcp.infrastructure.claude.requests import arguments
from tfo_mcp.value_objects import value_object

if TYPE_CHECKING:
    from anthropic import APIRequest, AsyncAnthropic, AsyncAPIResponse, AsyncCallNext

_FAILURES = 5
_PAUSE_SECONDS = 5.0
_SHARE_FOR_MODELS = 0.25  # of the deadline of a reply


@value_object
class ClaudeOptions:
    """What the client uses unless a conversation says otherwise, and its limits.

    `models` are those that calls may name, all if empty. `timeout_seconds` is the maximum of one reply with its
    retries, `silence_seconds` that between two events of a stream. `caches_prompts` marks prompts for the prompt cache.
    """

    model: str
    models: Sequence[str] = ()
    max_tokens: int = 1024
    timeout_seconds: float = 120.0
    silence_seconds: float = 30.0
    max_retries: int = 2
    caches_prompts: bool = True
    prices: Mapping[str, Price] = field(default_factory=dict)


class _Attempts:
    """The attempts of one request; `failure` is that of the last one, while the SDK waits before the next."""

    failure: ModelFailed | None = None


_attempts: ContextVar[_Attempts] = ContextVar("_attempts")


class Claude:
    """Replies by means of the Messages API; `telemetry` records each request."""

    def __init__(self, provider: Provider, options: ClaudeOptions, telemetry: Telemetry) -> None:
        self._provider = provider
        self._options = options
        self._telemetry = telemetry
        self._failures = Failures(provider, options.timeout_seconds, options.silence_seconds)
        self._models = KnownModels(options.model, options.models, has_endpoint=provider.kind == "anthropic")
        self._prices = Prices(options.prices)
        self._breaker = Breaker(_FAILURES, _PAUSE_SECONDS)
        self._client: AsyncAnthropic | None = None
        self._connecting = anyio.Lock()

    @property
    def is_configured(self) -> bool:
        """Whether there is an API key, or another provider."""
        return self._provider.is_configured

    def settings(
        self,
        model: str | None,
        max_tokens: int | None,
        system_prompt: str | None,
        temperature: float | None,
        thinking_tokens: int | None,
    ) -> ModelSettings:
        """Return the settings of a new conversation; None selects the configured default."""
        return ModelSettings(
            model or self._options.model,
            max_tokens or self._options.max_tokens,
            system_prompt or None,
            temperature,
            thinking_tokens,
        )

    async def check(self, settings: ModelSettings) -> None:
        """Check settings that differ from the configured ones against what is known of the model.

        Raises:
            OperationFailed: the model is unknown, or does not support them.
            NotConfigured: there is no usable API key, or the SDK cannot use the environment.
        """
        client = await self._connected()
        if replace(settings, system_prompt=None) != self.settings(None, None, None, None, None):
            await self._models.check(settings, client, self._options.timeout_seconds * _SHARE_FOR_MODELS)

    async def reply(
        self, request: ModelRequest, on_text: OnText | None = None, on_abandoned: OnAbandoned | None = None
    ) -> ModelReply:
        """Return the model's next message.

        Raises:
            NotConfigured: there is no usable API key, the SDK is not installed, or it cannot use the environment.
            ModelFailed: the API refused the request, failed, timed out or could not be reached.
        """
        client = await self._connected()
        reader = ReplyReader(on_text, self._options.silence_seconds)
        with self._telemetry.asking(request, self._options.model) as watched:
            if not self._breaker.permits():
                raise ModelFailed("The Claude API has failed several times in a row: try again in a few seconds")
            try:
                reply = await self._ask(client, request, reader)
            except anyio.get_cancelled_exc_class():
                usage = self._prices.priced(reader.usage, request.settings.model or self._options.model)
                watched.abandoned(usage)
                if on_abandoned is not None:
                    on_abandoned(usage)
                raise
            watched.answered(reply)
            return reply

    async def _ask(self, client: "AsyncAnthropic", request: ModelRequest, reader: ReplyReader) -> ModelReply:
        attempts, settings = _Attempts(), request.settings
        _attempts.set(attempts)
        asked = settings.model or self._options.model
        thinking = self._models.thinking_of(asked)
        given = arguments(request, asked, thinking, provider=self._provider.kind, caches=self._options.caches_prompts)
        try:
            with anyio.fail_after(self._options.timeout_seconds):
                async with client.messages.with_streaming_response.create(stream=True, **given) as response:
                    reply = await reader.read(response)
        except TimeoutError:
            self._breaker.failed()
            slow = self._failures.too_slow(has_started=reader.has_started, max_tokens=settings.max_tokens)
            failure = attempts.failure or slow
        except Exception as error:
            found = self._failures.failure(error)
            if found is None:
                raise self._provider.credentials_problem(error) or error from None
            _ = self._breaker.failed() if is_outage(error) else self._breaker.succeeded()
            failure = found
            if getattr(error, "status_code", None) == 404:
                hint = await self._models.hint(asked, client, self._options.timeout_seconds * _SHARE_FOR_MODELS)
                failure = ModelFailed(failure.message + hint)
        else:
            self._breaker.succeeded()
            return replace(reply, usage=self._prices.priced(reply.usage, reply.model, asked))
        raise ModelFailed(failure.message, self._prices.priced(reader.usage, asked)) from None

    async def aclose(self) -> None:
        """Close the connections to the API."""
        if self._client is not None:
            await self._client.close()

    async def _connected(self) -> "AsyncAnthropic":
        self._provider.require_usable()
        async with self._connecting:
            if self._client is None:
                options = self._options
                self._client = await anyio.to_thread.run_sync(
                    connect, self._provider, options.timeout_seconds, options.max_retries, self._watch
                )
            return self._client

    async def _watch(self, request: "APIRequest", call_next: "AsyncCallNext") -> "AsyncAPIResponse[Any]":
        """Remember why an attempt failed, and stop the SDK from waiting for a retry beyond the deadline."""
        from anthropic import APIConnectionError

        attempts = _attempts.get(None) or _Attempts()
        attempts.failure = None
        try:
            response = await call_next(request)
        except APIConnectionError as error:
            attempts.failure = self._failures.failure(error)
            raise
        if response.status_code >= 400:
            attempts.failure = self._failures.refusal(response.status_code, response.headers, None)
            wait = seconds_to_wait(response.headers)
            if wait is not None and wait >= anyio.current_effective_deadline() - anyio.current_time():
                response.headers["x-should-retry"] = "false"
        return response
