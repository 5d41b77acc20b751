"""Builds telemetry from the settings: traces, metrics and log export.

The OpenTelemetry SDK is imported only if telemetry is configured, since it is an optional dependency and slow to
import.
"""

import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import anyio.to_thread

from tfo_mcp.application.ports import EventBus, Telemetry
from tfo_mcp.infrastructure.config import ConfigurationError, Settings
from tfo_mcp.infrastructure.logging import Logging
from tfo_mcp.infrastructure.telemetry.instruments import Instruments
from tfo_mcp.infrastructure.telemetry.noop import NoTelemetry

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from tfo_mcp.infrastructure.telemetry.destination import Destination, Signal
    from tfo_mcp.infrastructure.telemetry.exporters import LogExport

_CLOSING_SECONDS = 2.0
_METRICS_MS = 60_000
_INSTANCE = str(uuid4())
_STANDARD = tuple(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT" for signal in ("TRACES", "METRICS", "LOGS"))


@dataclass(frozen=True, slots=True)
class Observation:
    """The server's telemetry.

    `exposition` returns the metrics for Prometheus, None if they are disabled. `instruments` is None if telemetry is
    off. `listen` subscribes the metrics to domain events; `aclose` flushes and closes the exporters.
    """

    telemetry: Telemetry
    instruments: Instruments | None
    exposition: Callable[[], bytes] | None
    listen: Callable[[EventBus], None]
    aclose: Callable[[], Awaitable[None]]

    def gauge(self, name: str, unit: str, meaning: str, read: Callable[[], float], **labels: str) -> None:
        """Register a gauge whose value `read` returns at each collection, possibly from another thread."""
        if self.instruments is not None:
            self.instruments.observed(name, unit, meaning).add(labels, read)

    def sum(self, name: str, unit: str, meaning: str, read: Callable[[], float], **labels: str) -> None:
        """Register a counter whose value `read` returns at each collection; the value must never decrease."""
        if self.instruments is not None:
            self.instruments.observed(name, unit, meaning, only_grows=True).add(labels, read)


def observation_of(settings: Settings) -> Observation:
    """Return the telemetry of a server.

    Raises:
        ConfigurationError: a dependency is not installed, or an environment variable is invalid.
    """
    if not (settings.telemetry.prometheus or _goes_somewhere(settings)):
        return Observation(NoTelemetry(), None, None, lambda _events: None, _nothing_to_close)
    with _explained():
        return _observation(settings)


def logging_of(settings: Settings, descriptor: int = 2) -> Logging:
    """Return the configured logging as a context manager; lines are written to the file descriptor.

    Raises:
        ConfigurationError: log export is configured but cannot be set up.
    """
    section, telemetry = settings.logging, settings.telemetry
    return Logging(
        section.level,
        section.format,
        telemetry.service_name,
        telemetry.environment,
        descriptor,
        log_export(settings),
    )


def log_export(settings: Settings) -> "LogExport | None":
    """Return the log exporter, None if log export is disabled.

    Raises:
        ConfigurationError: as `observation_of`.
    """
    if not (settings.telemetry.logs and _goes_somewhere(settings)):
        return None
    with _explained():
        from tfo_mcp.infrastructure.telemetry.exporters import LogExport

        destination = _destination(settings, "logs")
        return None if destination is None else LogExport(destination, *_origin(settings), _CLOSING_SECONDS)


def _observation(settings: Settings) -> Observation:
    from tfo_mcp.infrastructure.telemetry.adapter import Observing
    from tfo_mcp.infrastructure.telemetry.destination import sampling
    from tfo_mcp.infrastructure.telemetry.exporters import MetricExport, SpanExport, close_all
    from tfo_mcp.infrastructure.telemetry.prometheus import Exposition

    section, instruments, origin = settings.telemetry, Instruments(), _origin(settings)
    to = {signal: _destination(settings, signal) for signal in ("traces", "metrics")}
    spans = SpanExport(to["traces"], *origin) if section.traces and to["traces"] is not None else None
    ratio = sampling(section.sample_ratio, os.environ)
    observing = Observing(instruments, spans, origin[0], ratio, wants_content=section.content)
    exports: list[Any] = [] if spans is None else [spans]
    if section.metrics and to["metrics"] is not None:
        exports.append(MetricExport(to["metrics"], *origin, instruments, _metric_interval()))
    exposition = Exposition(instruments).text if section.prometheus else None

    async def aclose() -> None:
        await anyio.to_thread.run_sync(partial(close_all, exports, _CLOSING_SECONDS))

    observation = Observation(observing, instruments, exposition, observing.listen, aclose)
    if spans is not None:
        show_queue(observation, "spans", lambda: spans.counted.waiting, lambda: spans.counted.dropped)
    return observation


def _metric_interval() -> float:
    """Return the metric export interval in seconds."""
    text = os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", "").strip() or str(_METRICS_MS)
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ValueError("OTEL_METRIC_EXPORT_INTERVAL: use a whole number of milliseconds above 0")
    return int(text) / 1000


def show_queue(observation: Observation, name: str, depth: Callable[[], float], dropped: Callable[[], float]) -> None:
    """Register the metrics of a queue: its depth, and the number of items dropped because it was full."""
    observation.gauge("tfo_mcp.queue.depth", "{item}", "Items waiting in a queue.", depth, queue=name)
    observation.sum("tfo_mcp.queue.dropped", "{item}", "Items dropped because a queue was full.", dropped, queue=name)


def _goes_somewhere(settings: Settings) -> bool:
    section = settings.telemetry
    return bool(section.endpoint or _has_key(settings) or any(os.environ.get(name) for name in _STANDARD))


def _has_key(settings: Settings) -> bool:
    section = settings.telemetry
    if (section.api_key_id is None) != (section.api_key_secret is None):
        raise ConfigurationError(("telemetry.api_key_id and telemetry.api_key_secret belong together: set both",))
    return section.api_key_id is not None


def _destination(settings: Settings, signal: "Signal") -> "Destination | None":
    from tfo_mcp.infrastructure.telemetry.destination import PlatformKey, destination

    section = settings.telemetry
    key = None
    if _has_key(settings) and section.api_key_id is not None and section.api_key_secret is not None:
        key = PlatformKey(section.api_key_id.get_secret_value(), section.api_key_secret.get_secret_value())
    return destination(signal, section.endpoint, section.protocol, key, os.environ)


def _origin(settings: Settings) -> "tuple[Resource, Any]":
    """Return the OpenTelemetry resource and instrumentation scope of all signals."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    section = settings.telemetry
    attributes: Mapping[str, str] = {
        "service.name": section.service_name,
        "service.version": version("tfo-mcp"),
        "service.instance.id": _INSTANCE,
        "deployment.environment.name": section.environment,
    }
    return Resource.create(attributes), InstrumentationScope("tfo_mcp", version("tfo-mcp"))


@contextmanager
def _explained() -> Iterator[None]:
    """Convert ImportError and ValueError into ConfigurationError."""
    try:
        yield
    except ImportError:
        raise ConfigurationError(("telemetry needs the package's extra: pip install 'tfo-mcp[telemetry]'",)) from None
    except ValueError as problem:
        raise ConfigurationError((str(problem),)) from None


async def _nothing_to_close() -> None:
    """Do nothing: no exporter was created."""
