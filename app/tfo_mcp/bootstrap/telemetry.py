"""Builds telemetry from the settings: export of traces, metrics and logs to an endpoint and to the telemetry store.

The OpenTelemetry SDK is imported only if telemetry is configured, since it is an optional dependency and slow to
import. Its environment variables may be meant for other programs: a value that cannot be used turns off the export of
the signals that it is for, and is logged. The product's own settings are strict.
"""

import os
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import anyio
import anyio.to_thread
import structlog

from tfo_mcp.application.ports import EventBus, Telemetry
from tfo_mcp.application.ports.telemetry_query import Signal
from tfo_mcp.infrastructure.config import ConfigurationError, Settings
from tfo_mcp.infrastructure.logging import Logging
from tfo_mcp.infrastructure.telemetry.instruments import Instruments, Metric
from tfo_mcp.infrastructure.telemetry.noop import NoTelemetry
from tfo_mcp.infrastructure.telemetry.variables import Signal as SignalName
from tfo_mcp.infrastructure.telemetry.variables import UnusableVariable, usable_variables
from tfo_mcp.infrastructure.telemetry_store.own_exports import OwnExports
from tfo_mcp.value_objects import value_object

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from tfo_mcp.infrastructure.telemetry.destination import Destination, Protocol
    from tfo_mcp.infrastructure.telemetry.exporters import LogExport, MetricExport, Send, SpanExport
    from tfo_mcp.infrastructure.telemetry.reports import ReportBoard, WorkerMetrics

_log = structlog.get_logger("tfo_mcp.telemetry")
_CLOSING_SECONDS = 2.0
_METRICS_MS = 60_000
_PUBLISH_SECONDS = 1.0
_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_STANDARD = tuple(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT" for signal in ("TRACES", "METRICS", "LOGS"))


def _nothing_to_publish() -> None:
    """Do nothing: there are no other workers, or no metrics."""


@value_object
class Observation:
    """The server's telemetry.

    `exposition` returns the metrics for Prometheus, None if they are disabled. `instruments` is None if telemetry is
    off. `listen` subscribes the metrics to domain events; `publish` leaves a report of them for the other workers;
    `aclose` flushes and closes the exporters.
    """

    telemetry: Telemetry
    instruments: Instruments | None
    exposition: Callable[[], bytes] | None
    listen: Callable[[EventBus], None]
    aclose: Callable[[], Awaitable[None]]
    publish: Callable[[], None] = _nothing_to_publish

    async def run(self) -> None:
        """Publish the metrics each second until cancelled, and then once more."""
        if self.publish is _nothing_to_publish:
            return
        try:
            while True:
                self.publish()
                await anyio.sleep(_PUBLISH_SECONDS)
        finally:
            self.publish()

    def gauge(self, name: str, unit: str, meaning: str, read: Callable[[], float], **labels: str) -> None:
        """Register a gauge whose value `read` returns at each collection, possibly from another thread."""
        if self.instruments is not None:
            self.instruments.observed(name, unit, meaning).add(labels, read)

    def sum(self, name: str, unit: str, meaning: str, read: Callable[[], float], **labels: str) -> None:
        """Register a counter whose value `read` returns at each collection; the value must never decrease."""
        if self.instruments is not None:
            self.instruments.observed(name, unit, meaning, only_grows=True).add(labels, read)


def observation_of(
    settings: Settings, board: "ReportBoard | None" = None, own: OwnExports | None = None
) -> Observation:
    """Return the telemetry of a server.

    Args:
        settings: the settings in effect.
        board: where the workers of this server leave their metrics for each other; None without other workers.
        own: sends to the telemetry store; None without one.

    Raises:
        ConfigurationError: the settings ask for telemetry, and a dependency is not installed.
    """
    if settings.telemetry.prometheus or own is not None or _goes_somewhere(settings):
        with _explained(settings), usable_variables(os.environ) as environ:
            return _observation(settings, environ, board, own if _is_enabled(environ) else None)
    return Observation(NoTelemetry(), None, None, lambda _events: None, _nothing_to_close)


def logging_without_thread(settings: Settings) -> Logging:
    """Return the configured logging of a process that forks; its lines are not exported."""
    section, telemetry = settings.logging, settings.telemetry
    return Logging(section.level, section.format, telemetry.service_name, telemetry.environment, has_thread=False)


@contextmanager
def logging_of(settings: Settings, descriptor: int = 2, own: OwnExports | None = None) -> Generator[Logging]:
    """Run the configured logging until the context is left; lines are written to the file descriptor.

    Args:
        settings: the settings in effect.
        descriptor: the file descriptor.
        own: sends to the telemetry store; None without one.

    Raises:
        ConfigurationError: the settings ask for log export, and a dependency is not installed.
    """
    section, telemetry = settings.logging, settings.telemetry
    with Logging(section.level, section.format, telemetry.service_name, telemetry.environment, descriptor) as logging:
        if (export := log_export(settings, own)) is not None:
            logging.export_to(export)
        yield logging


def log_export(settings: Settings, own: OwnExports | None = None) -> "LogExport | None":
    """Return the log exporter, None if log export is off.

    Args:
        settings: the settings in effect.
        own: sends to the telemetry store; None without one.

    Raises:
        ConfigurationError: as `observation_of`.
    """
    is_exported = settings.telemetry.logs and _goes_somewhere(settings)
    if not is_exported and own is None:
        return None
    with _explained(settings), usable_variables(os.environ) as environ:
        from tfo_mcp.infrastructure.telemetry.exporters import LogExport

        send = _sender(own if _is_enabled(environ) else None, Signal.LOGS)
        destination = _usable_destination(settings, "logs", environ) if is_exported else None
        if destination is not None or send is not None:
            return LogExport(destination, send, *_origin(settings), _CLOSING_SECONDS)
    return None


def _observation(
    settings: Settings, environ: Mapping[str, str], board: "ReportBoard | None", own: OwnExports | None
) -> Observation:
    from tfo_mcp.infrastructure.telemetry.adapter import Observing
    from tfo_mcp.infrastructure.telemetry.exporters import close_all

    section, instruments = settings.telemetry, Instruments()
    spans = _span_export(settings, environ, _sender(own, Signal.TRACES))
    metrics = _metric_export(settings, instruments, environ, _sender(own, Signal.METRICS))
    exports = [export for export in (spans, metrics) if export is not None]
    shared = None if board is None or not section.prometheus else _worker_metrics(instruments, board)
    exposition = _exposition((shared or instruments).read) if section.prometheus else None
    observing = Observing(instruments, spans, wants_content=section.content)

    async def aclose() -> None:
        await anyio.to_thread.run_sync(partial(close_all, exports, _CLOSING_SECONDS))

    publish = _nothing_to_publish if shared is None else shared.publish
    observation = Observation(observing, instruments, exposition, observing.listen, aclose, publish)
    if spans is not None:
        show_queue(observation, "spans", lambda: spans.counted.waiting, lambda: spans.counted.dropped)
    return observation


def _worker_metrics(instruments: Instruments, board: "ReportBoard") -> "WorkerMetrics":
    from tfo_mcp.infrastructure.telemetry.reports import WorkerMetrics

    return WorkerMetrics(instruments, board)


def _exposition(read: Callable[[], Iterable[Metric]]) -> Callable[[], bytes]:
    from tfo_mcp.infrastructure.telemetry.prometheus import Exposition

    return Exposition(read).text


def _span_export(settings: Settings, environ: Mapping[str, str], send: "Send | None") -> "SpanExport | None":
    from tfo_mcp.infrastructure.telemetry.destination import EVERYTHING, sampling
    from tfo_mcp.infrastructure.telemetry.exporters import SpanExport

    destination, sampled = None, EVERYTHING
    if settings.telemetry.traces:
        with _usable_export("traces"):
            ratio = None if _is_unusable(settings, "sample_ratio") else settings.telemetry.sample_ratio
            found = _destination(settings, "traces", environ)
            if found is not None:
                sampled = sampling(ratio, environ)
            destination = found
    if destination is None and send is None:
        return None
    with _usable_export("traces"):
        return SpanExport(destination, send, *_origin(settings), sampled)
    return None


def _metric_export(
    settings: Settings, instruments: Instruments, environ: Mapping[str, str], send: "Send | None"
) -> "MetricExport | None":
    from tfo_mcp.infrastructure.telemetry.exporters import MetricExport

    destination = _usable_destination(settings, "metrics", environ) if settings.telemetry.metrics else None
    if destination is None and send is None:
        return None
    with _usable_export("metrics"):
        return MetricExport(destination, send, *_origin(settings), instruments, _metric_interval())
    return None


def _usable_destination(settings: Settings, signal: SignalName, environ: Mapping[str, str]) -> "Destination | None":
    """Return the destination of a signal, None if it is not exported or a variable cannot be used."""
    with _usable_export(signal):
        return _destination(settings, signal, environ)
    return None


def _sender(own: OwnExports | None, signal: Signal) -> "Send | None":
    return None if own is None else own.sender(signal)


def _is_enabled(environ: Mapping[str, str]) -> bool:
    return environ.get("OTEL_SDK_DISABLED", "").strip().lower() != "true"


def _metric_interval() -> float:
    """Return the metric export interval in seconds."""
    return int(os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", "").strip() or _METRICS_MS) / 1000


def show_queue(observation: Observation, name: str, depth: Callable[[], float], dropped: Callable[[], float]) -> None:
    """Register the metrics of a queue: its depth, and the number of items dropped because it was full."""
    observation.gauge("tfo_mcp.queue.depth", "{item}", "Items waiting in a queue.", depth, queue=name)
    observation.sum("tfo_mcp.queue.dropped", "{item}", "Items dropped because a queue was full.", dropped, queue=name)


def _goes_somewhere(settings: Settings) -> bool:
    return bool(_endpoint(settings) or _has_key(settings) or any(os.environ.get(name) for name in _STANDARD))


def _has_key(settings: Settings) -> bool:
    section = settings.telemetry
    if (section.api_key_id is None) != (section.api_key_secret is None):
        raise ConfigurationError(("telemetry.api_key_id and telemetry.api_key_secret belong together: set both",))
    return section.api_key_id is not None


def _destination(settings: Settings, signal: SignalName, environ: Mapping[str, str]) -> "Destination | None":
    from tfo_mcp.infrastructure.telemetry.destination import PlatformKey, destination

    section = settings.telemetry
    key = None
    if _has_key(settings) and section.api_key_id is not None and section.api_key_secret is not None:
        key = PlatformKey(section.api_key_id.get_secret_value(), section.api_key_secret.get_secret_value())
    protocol: Protocol | None = None if _is_unusable(settings, "protocol") else section.protocol
    return destination(signal, _endpoint(settings), protocol, key, environ)


def _endpoint(settings: Settings) -> str | None:
    """Return the endpoint of all signals; an unusable one of the environment as it is, for `destination` to refuse.

    Raises:
        ConfigurationError: the settings give `host:port` without the protocol grpc.
    """
    if _is_unusable(settings, "endpoint"):
        return os.environ.get(_ENDPOINT)
    endpoint, is_own = settings.telemetry.endpoint, settings.origins.get("telemetry.endpoint") != _ENDPOINT
    if endpoint is not None and "://" not in endpoint and is_own and settings.telemetry.protocol != "grpc":
        raise ConfigurationError(("telemetry.endpoint: host:port needs the protocol grpc (telemetry.protocol)",))
    return endpoint


def _origin(settings: Settings) -> "tuple[Resource, Any]":
    """Return the OpenTelemetry resource and instrumentation scope of all signals."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    section = settings.telemetry
    attributes: Mapping[str, str] = {
        "service.name": section.service_name,
        "service.version": version("tfo-mcp"),
        "service.instance.id": _instance_of(os.getpid()),
        "deployment.environment.name": section.environment,
    }
    return Resource.create(attributes), InstrumentationScope("tfo_mcp", version("tfo-mcp"))


@cache
def _instance_of(_process: int) -> str:
    """Return the id of a process: workers that are forked from it need their own."""
    return str(uuid4())


def _is_unusable(settings: Settings, key: str) -> bool:
    """Return whether only a variable of other programs sets a setting, and to a value that it does not accept."""
    name = f"telemetry.{key}"
    return name in settings.ignored and name not in settings.origins


@contextmanager
def _usable_export(signal: SignalName) -> Iterator[None]:
    """Log why a signal is not exported instead of raising, unless a package is missing."""
    try:
        yield
    except ImportError:
        raise
    except UnusableVariable as problem:
        _log.warning(f"{signal} are not exported", reason=str(problem))
    except Exception as problem:  # the SDK reads more variables, and raises what it likes
        _log.warning(f"{signal} are not exported", reason=_check_variables(problem))


@contextmanager
def _explained(settings: Settings) -> Iterator[None]:
    """Log why there is no telemetry if only the environment of other programs asks for it.

    Raises:
        ConfigurationError: the settings ask for it.
    """
    try:
        yield
    except ImportError:
        reason = "telemetry needs the package's extra: pip install 'tfo-mcp[telemetry]'"
        if _is_asked_for(settings):
            raise ConfigurationError((reason,)) from None
        _log.warning("telemetry is off", reason=reason)
    except ConfigurationError:
        raise
    except Exception as problem:  # the SDK reads variables when it is imported, too
        _log.warning("telemetry is off", reason=_check_variables(problem))


def _is_asked_for(settings: Settings) -> bool:
    section, origin = settings.telemetry, settings.origins.get("telemetry.endpoint")
    return section.prometheus or _has_key(settings) or origin not in (None, _ENDPOINT)


def _check_variables(problem: Exception) -> str:
    """Return the reason of a failure of the SDK: the variables that it may be about, without values."""
    names = sorted(name for name in os.environ if name.startswith("OTEL_"))
    named = [name for name in names if name in str(problem)]
    return f"check {', '.join(named or names) or type(problem).__name__}"


async def _nothing_to_close() -> None:
    """Do nothing: no exporter was created."""
