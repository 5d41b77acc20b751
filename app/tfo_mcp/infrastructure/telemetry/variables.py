"""Checks the standard environment variables of OpenTelemetry that the exporters of one signal read.

Other programs of the machine read the same variables, and some of them take values that this SDK does not. Where the
SDK finds such a value it raises, or falls back silently; here it gets a reason that names the variable, but not its
value. Knows neither settings nor exporters.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from importlib.metadata import entry_points
from math import isfinite
from typing import Literal, get_args
from urllib.parse import unquote

Signal = Literal["traces", "metrics", "logs"]
SIGNALS: tuple[Signal, ...] = get_args(Signal)
_LARGEST_BATCH = 8192  # the length of the exporters' queues
_FIELD_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NOT_IN_HEADERS = frozenset('";\\')
_COMPRESSIONS = ("gzip", "deflate")
_NO_COMPRESSION = "none"  # by the specification the same as unset; the SDK's gRPC exporters raise
_LIMITS = ("COUNT_LIMIT", "VALUE_LENGTH_LIMIT")


class UnusableVariable(ValueError):
    """Variables have values that cannot be used; the text names each variable and the values that it can have."""


@contextmanager
def usable_variables(environ: MutableMapping[str, str]) -> Iterator[Mapping[str, str]]:
    """Hide from the SDK what it cannot use until the context is left, and yield all variables as they were.

    The SDK reads some variables when it is imported, so that it is imported within the context. Hidden are also values
    which the specification of OpenTelemetry treats as unset.
    """
    given = dict(environ)
    unusable = {name for signal in SIGNALS for name, _ in _unusable(signal, given)}
    hidden = {name: value for name, value in given.items() if name in unusable or _is_unset(name, value)}
    for name in hidden:
        del environ[name]
    try:
        yield {name: value for name, value in given.items() if not _is_unset(name, value)}
    finally:
        environ.update(hidden)


def _is_unset(name: str, value: str) -> bool:
    if not name.startswith("OTEL_"):
        return False
    return not value.strip() or (name.endswith("_COMPRESSION") and value.strip().lower() == _NO_COMPRESSION)


def check_variables(signal: Signal, environ: Mapping[str, str]) -> None:
    """Check the variables that the exporter of a signal reads.

    Raises:
        UnusableVariable: a variable has a value that the exporter does not support.
    """
    problems = [f"{name}: use {accepted}" for name, accepted in _unusable(signal, environ)]
    if problems:
        raise UnusableVariable("; ".join(problems))


def _unusable(signal: Signal, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each variable with an unusable value, and the words for the values that it accepts."""
    for name, is_usable, accepted in _checks(signal):
        value = environ.get(name, "").strip()
        if value and not is_usable(value):
            yield name, accepted


def _checks(signal: Signal) -> Iterator[tuple[str, Callable[[str], bool], str]]:
    """Yield each variable with its check and the words for the values that it accepts."""
    for prefix in (f"OTEL_EXPORTER_OTLP_{signal.upper()}", "OTEL_EXPORTER_OTLP"):
        yield f"{prefix}_HEADERS", _are_headers, "name=value pairs, separated by commas and URL-encoded"
        yield f"{prefix}_TIMEOUT", _is_duration, "a number of seconds above 0"
        yield f"{prefix}_COMPRESSION", _is_compression, f"{', '.join(_COMPRESSIONS)} (not with grpc) or none"
        yield f"{prefix}_INSECURE", _is_boolean, "true or false"
        for file in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"):
            yield f"{prefix}_{file}", _is_readable, "the path of a file that the server can read"
    yield f"OTEL_{signal.upper()}_EXPORTER", _is_exporter, "otlp or none"
    yield "OTEL_RESOURCE_ATTRIBUTES", _are_attributes, "name=value pairs, separated by commas"
    yield "OTEL_SDK_DISABLED", _is_boolean, "true or false"
    yield "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", _are_detectors, "names of installed detectors, separated by commas"
    yield "OTEL_PYTHON_CONTEXT", _is_context, "the name of an installed implementation of the context"
    yield "OTEL_PYTHON_METER_PROVIDER", _is_meter_provider, "the name of an installed meter provider"
    match signal:
        case "traces":
            yield from _batching("OTEL_BSP")
            yield from _limits("OTEL_ATTRIBUTE", "OTEL_SPAN_ATTRIBUTE", "OTEL_EVENT_ATTRIBUTE", "OTEL_LINK_ATTRIBUTE")
            for name in ("OTEL_SPAN_EVENT_COUNT_LIMIT", "OTEL_SPAN_LINK_COUNT_LIMIT"):
                yield name, _is_whole, "a whole number"
        case "metrics":
            yield "OTEL_METRIC_EXPORT_INTERVAL", _is_positive, "a whole number of milliseconds above 0"
        case "logs":
            yield from _batching("OTEL_BLRP")
            yield from _limits("OTEL_ATTRIBUTE", "OTEL_LOGRECORD_ATTRIBUTE")


def _batching(prefix: str) -> Iterator[tuple[str, Callable[[str], bool], str]]:
    yield f"{prefix}_SCHEDULE_DELAY", _is_positive, "a whole number of milliseconds above 0"
    yield f"{prefix}_EXPORT_TIMEOUT", _is_positive, "a whole number of milliseconds above 0"
    yield f"{prefix}_MAX_QUEUE_SIZE", _is_positive, "a whole number above 0"
    yield f"{prefix}_MAX_EXPORT_BATCH_SIZE", _is_batch, f"a whole number from 1 to {_LARGEST_BATCH}"


def _limits(*prefixes: str) -> Iterator[tuple[str, Callable[[str], bool], str]]:
    for prefix in prefixes:
        for limit in _LIMITS:
            yield f"{prefix}_{limit}", _is_whole, "a whole number"


def _are_headers(value: str) -> bool:
    if not _NOT_IN_HEADERS.isdisjoint(value):  # the SDK would log such a header, and leave it out
        return False
    pairs = [unquote(pair).partition("=") for pair in value.split(",") if pair.strip()]
    return all(
        equals and _FIELD_NAME.fullmatch(name.strip()) and text.isascii() and text.isprintable()
        for name, equals, text in pairs
    )


def _are_attributes(value: str) -> bool:
    pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
    return all(name.strip() and equals for name, equals, _ in pairs) and _is_unicode(value)


def _is_unicode(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _is_duration(value: str) -> bool:
    try:
        seconds = float(value)
    except ValueError:
        return False
    return isfinite(seconds) and seconds > 0


def _is_compression(value: str) -> bool:
    return value.lower() in _COMPRESSIONS


def _is_exporter(value: str) -> bool:
    return "otlp" in (name.strip() for name in value.split(","))


def _are_detectors(value: str) -> bool:
    names = (name.strip() for name in value.split(","))
    return all(name == "*" or entry_points(group="opentelemetry_resource_detector", name=name) for name in names)


def _is_context(value: str) -> bool:
    return bool(entry_points(group="opentelemetry_context", name=value))


def _is_meter_provider(value: str) -> bool:
    return bool(entry_points(group="opentelemetry_meter_provider", name=value))


def _is_boolean(value: str) -> bool:
    return value.lower() in ("true", "false")


def _is_readable(value: str) -> bool:
    return os.path.isfile(value) and os.access(value, os.R_OK)


def _is_whole(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= 9


def _is_positive(value: str) -> bool:
    return _is_whole(value) and int(value) > 0


def _is_batch(value: str) -> bool:
    return _is_positive(value) and int(value) <= _LARGEST_BATCH
