"""ModelMetrics: the metrics and spans of requests to the language model.

Follows the OpenTelemetry semantic conventions for generative AI. Texts of prompts and replies are not recorded.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from opentelemetry.trace import Span as ApiSpan
from opentelemetry.trace import SpanKind, StatusCode, Tracer

from tfo_mcp.application.ports import ModelCall, ModelFailed, ModelReply, ModelRequest
from tfo_mcp.domain.token_usage import NO_USAGE, TokenUsage
from tfo_mcp.infrastructure.telemetry.instruments import Instruments
from tfo_mcp.infrastructure.telemetry.values import sanitized

_CALL_BOUNDS = tuple(0.01 * 2**power for power in range(14))
_TOKEN_BOUNDS = tuple(4**power for power in range(14))
_LABELS = ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model")
_CHAT, _PROVIDER, _OTHER = "chat", "anthropic", "_OTHER"
_LONGEST_NAME = 256


class ModelMetrics:
    """Records requests to the language model."""

    def __init__(self, instruments: Instruments) -> None:
        self._calls = instruments.histogram(
            "gen_ai.client.operation.duration",
            "s",
            "Duration of requests to the language model.",
            (*_LABELS, "error.type"),
            _CALL_BOUNDS,
        )
        self._tokens = instruments.histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Tokens that requests to the language model took.",
            (*_LABELS, "gen_ai.token.type"),
            _TOKEN_BOUNDS,
        )
        self._cost = instruments.counter(
            "tfo_mcp.claude.cost",
            "{USD}",
            "Estimated cost of requests to the language model, for models with a configured price.",
            _LABELS,
        )

    @contextmanager
    def observing(self, request: ModelRequest, default_model: str, tracer: Tracer | None) -> Iterator[ModelCall]:
        """Record a request to the language model, and its span if there is a tracer."""
        model = sanitized(request.settings.model or default_model, _LONGEST_NAME)
        watched = _Watched(tracer, request, model)
        try:
            yield watched
        except BaseException as problem:
            watched.error = type(problem).__name__
            if isinstance(problem, ModelFailed):
                watched.usage = problem.usage
            raise
        finally:
            watched.finish()
            named = model if watched.response_model or model == default_model else _OTHER  # bounds the cardinality
            labels = (_CHAT, _PROVIDER, named, watched.response_model)
            self._calls.record((*labels, watched.error), perf_counter() - watched.started)
            self._count(labels, watched.usage)

    def _count(self, labels: tuple[str | None, ...], usage: TokenUsage) -> None:
        if not usage.total:
            return
        self._tokens.record((*labels, "input"), usage.input)
        self._tokens.record((*labels, "output"), usage.output)
        if usage.cache_read:
            self._tokens.record((*labels, "cache_read"), usage.cache_read)
        if usage.cache_write:
            self._tokens.record((*labels, "cache_write"), usage.cache_write)
        if usage.cost:
            self._cost.add(labels, usage.cost)


class _Watched:
    """One request to the language model, and its span."""

    def __init__(self, tracer: Tracer | None, request: ModelRequest, model: str) -> None:
        self.started = perf_counter()
        self.response_model: str | None = None
        self.usage = NO_USAGE
        self.error: str | None = None
        self._stop_reason: str | None = None
        self._span: ApiSpan | None = None
        if tracer is not None:
            attributes: dict[str, str | int | float] = {
                "gen_ai.operation.name": _CHAT,
                "gen_ai.provider.name": _PROVIDER,
                "gen_ai.request.model": model,
                "gen_ai.request.max_tokens": request.settings.max_tokens,
            }
            if request.caller is not None:
                attributes["enduser.id"] = request.caller
            if request.tool is not None:
                attributes["tfo_mcp.tool.name"] = request.tool
            if request.settings.temperature is not None:
                attributes["gen_ai.request.temperature"] = request.settings.temperature
            self._span = tracer.start_span(f"{_CHAT} {model}", kind=SpanKind.CLIENT, attributes=attributes)

    def answered(self, reply: ModelReply) -> None:
        """Keep the reply's metadata; its text is not recorded."""
        self.response_model, self.usage, self._stop_reason = reply.model, reply.usage, reply.stop_reason

    def abandoned(self, usage: TokenUsage) -> None:
        """Keep the usage of a reply that was cancelled."""
        self.usage = usage

    def finish(self) -> None:
        if self._span is None:
            return
        if self.response_model is not None:
            self._span.set_attribute("gen_ai.response.model", self.response_model)
            self._span.set_attribute("gen_ai.response.finish_reasons", [self._stop_reason or "unknown"])
        if self.usage.total:
            self._span.set_attributes(_usage_attributes(self.usage))
        if self.error is not None:
            self._span.set_attribute("error.type", self.error)
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


def _usage_attributes(usage: TokenUsage) -> dict[str, int | float]:
    attributes: dict[str, int | float] = {
        "gen_ai.usage.input_tokens": usage.input + usage.cache_read + usage.cache_write,
        "gen_ai.usage.output_tokens": usage.output,
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write,
    }
    if usage.cost is not None:
        attributes["tfo_mcp.claude.cost"] = usage.cost
    return attributes
