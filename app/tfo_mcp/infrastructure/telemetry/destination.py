"""Selects the OTLP endpoint of each signal from the settings and the standard environment variables of OpenTelemetry.

The settings apply to all signals; OTEL_EXPORTER_OTLP_<SIGNAL>_* and OTEL_<SIGNAL>_EXPORTER=none apply to one. The
exporters themselves read the variables for timeouts, compression and certificates.
"""

from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.util.re import parse_env_headers

from tfo_mcp.infrastructure.telemetry.variables import Signal, UnusableVariable, check_variables
from tfo_mcp.value_objects import value_object

Protocol = Literal["grpc", "http/protobuf"]

PLATFORM = "https://api.telemetryflow.id:4317"
_KEY_ID, _KEY_SECRET = "x-telemetryflow-key-id", "x-telemetryflow-key-secret"


@value_object
class PlatformKey:
    """An API key of the TelemetryFlow platform."""

    id: str
    secret: str


@value_object
class Destination:
    """The OTLP endpoint of one signal: its full URL (with grpc also `host:port`), protocol and headers."""

    endpoint: str
    protocol: Protocol
    headers: Mapping[str, str]


EVERYTHING = (TraceIdRatioBased.get_bound_for_rate(1.0), False)
"""The sampling that records every trace, as `sampling` returns it."""


def destination(
    signal: Signal, endpoint: str | None, protocol: Protocol | None, key: PlatformKey | None, environ: Mapping[str, str]
) -> Destination | None:
    """Return the destination of a signal, None if it is not exported.

    Args:
        signal: the signal.
        endpoint: the endpoint of all signals.
        protocol: the protocol of all signals; None if OTEL_EXPORTER_OTLP_PROTOCOL names an unsupported one.
        key: the key of the platform.
        environ: the environment variables.

    Raises:
        UnusableVariable: a variable has an unsupported value.
    """
    prefix = f"OTEL_EXPORTER_OTLP_{signal.upper()}_"
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if environ.get(f"OTEL_{signal.upper()}_EXPORTER", "otlp").strip() == "none":
        return None
    own = environ.get(f"{prefix}ENDPOINT", "").strip()
    if not own and endpoint is None and key is None:
        return None
    check_variables(signal, environ)
    headers = _headers(prefix, key, environ)
    if not own and endpoint is None:
        return Destination(PLATFORM, "grpc", headers)
    spoken = _protocol(environ.get(f"{prefix}PROTOCOL"), f"{prefix}PROTOCOL", protocol)
    if own:
        return Destination(_usable(own, spoken, f"{prefix}ENDPOINT"), spoken, headers)
    whole = _usable(endpoint or "", spoken, "OTEL_EXPORTER_OTLP_ENDPOINT")
    return Destination(whole if spoken == "grpc" else f"{whole.rstrip('/')}/v1/{signal}", spoken, headers)


def sampling(ratio: float | None, environ: Mapping[str, str]) -> tuple[int, bool]:
    """Return the sampling bound for the lower 64 bits of a trace id, and whether a client's decision takes precedence.

    Args:
        ratio: the fraction of traces to record; None if OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1.
        environ: the environment variables.

    Raises:
        UnusableVariable: OTEL_TRACES_SAMPLER names an unsupported sampler, or one that needs the ratio.
    """
    name = environ.get("OTEL_TRACES_SAMPLER", "parentbased_traceidratio").strip().lower()
    plain = name.removeprefix("parentbased_")
    ratios: dict[str, float | None] = {"always_on": 1.0, "always_off": 0.0, "traceidratio": ratio}
    if plain not in ratios:
        raise UnusableVariable(f"OTEL_TRACES_SAMPLER: use one of {', '.join(ratios)}, or parentbased_ and one of them")
    chosen = ratios[plain]
    if chosen is None:
        raise UnusableVariable("OTEL_TRACES_SAMPLER_ARG: use a number from 0 to 1")
    return TraceIdRatioBased.get_bound_for_rate(chosen), plain != name


def _usable(endpoint: str, protocol: Protocol, variable: str) -> str:
    """Return the endpoint if the exporter of this protocol can use it."""
    try:
        parts = urlsplit(endpoint)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        is_address = protocol == "grpc" and bool(urlsplit(f"//{endpoint}").port) and "/" not in endpoint
    except ValueError:
        is_url = is_address = False
    if not (is_url or is_address) or any(map(str.isspace, endpoint)):
        raise UnusableVariable(f"{variable}: use an http or https URL, or host:port with the protocol grpc")
    return endpoint


def _protocol(given: str | None, variable: str, default: Protocol | None) -> Protocol:
    match (given or "").strip():
        case "" if default is not None:
            return default
        case "":
            variable = "OTEL_EXPORTER_OTLP_PROTOCOL"
        case "grpc":
            return "grpc"
        case "http/protobuf":
            return "http/protobuf"
    raise UnusableVariable(f"{variable}: use grpc or http/protobuf")


def _headers(prefix: str, key: PlatformKey | None, environ: Mapping[str, str]) -> Mapping[str, str]:
    given = environ.get(f"{prefix}HEADERS") or environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")
    headers = dict(parse_env_headers(given, liberal=True))
    return headers if key is None else {**headers, _KEY_ID: key.id, _KEY_SECRET: key.secret}
