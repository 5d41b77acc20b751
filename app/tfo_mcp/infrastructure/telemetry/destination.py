"""Selects the OTLP endpoint of each signal from the settings and the standard environment variables of OpenTelemetry.

The settings apply to all signals; OTEL_EXPORTER_OTLP_<SIGNAL>_* and OTEL_<SIGNAL>_EXPORTER=none apply to one. The
exporters themselves read the variables for timeouts, compression and certificates.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.util.re import parse_env_headers

Signal = Literal["traces", "metrics", "logs"]
Protocol = Literal["grpc", "http/protobuf"]

PLATFORM = "https://api.telemetryflow.id:4317"
_KEY_ID, _KEY_SECRET = "x-telemetryflow-key-id", "x-telemetryflow-key-secret"


@dataclass(frozen=True, slots=True)
class PlatformKey:
    """An API key of the TelemetryFlow platform."""

    id: str
    secret: str


@dataclass(frozen=True, slots=True)
class Destination:
    """The OTLP endpoint of one signal: its full URL, protocol and headers."""

    endpoint: str
    protocol: Protocol
    headers: Mapping[str, str]


def destination(
    signal: Signal, endpoint: str | None, protocol: Protocol, key: PlatformKey | None, environ: Mapping[str, str]
) -> Destination | None:
    """Return the destination of a signal, None if it is not exported.

    Raises:
        ValueError: a variable has an unsupported value.
    """
    prefix = f"OTEL_EXPORTER_OTLP_{signal.upper()}_"
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if environ.get(f"OTEL_{signal.upper()}_EXPORTER", "otlp").strip() == "none":
        return None
    spoken = _protocol(environ.get(f"{prefix}PROTOCOL"), f"{prefix}PROTOCOL", protocol)
    own = environ.get(f"{prefix}ENDPOINT", "").strip()
    if own:
        whole = own
    elif endpoint is not None:
        whole = endpoint if spoken == "grpc" else f"{endpoint.rstrip('/')}/v1/{signal}"
    elif key is not None:
        whole, spoken = PLATFORM, "grpc"
    else:
        return None
    return Destination(whole, spoken, _headers(prefix, key, environ))


def sampling(ratio: float, environ: Mapping[str, str]) -> tuple[int, bool]:
    """Return the sampling bound for the lower 64 bits of a trace id, and whether a client's decision takes precedence.

    Raises:
        ValueError: OTEL_TRACES_SAMPLER names an unsupported sampler.
    """
    name = environ.get("OTEL_TRACES_SAMPLER", "parentbased_traceidratio").strip().lower()
    plain = name.removeprefix("parentbased_")
    ratios = {"always_on": 1.0, "always_off": 0.0, "traceidratio": ratio}
    if plain not in ratios:
        raise ValueError(f"OTEL_TRACES_SAMPLER: use one of {', '.join(ratios)}, or parentbased_ and one of them")
    return TraceIdRatioBased.get_bound_for_rate(ratios[plain]), plain != name


def _protocol(given: str | None, variable: str, default: Protocol) -> Protocol:
    match (given or "").strip():
        case "":
            return default
        case "grpc":
            return "grpc"
        case "http/protobuf":
            return "http/protobuf"
    raise ValueError(f"{variable}: use grpc or http/protobuf")


def _headers(prefix: str, key: PlatformKey | None, environ: Mapping[str, str]) -> Mapping[str, str]:
    given = environ.get(f"{prefix}HEADERS") or environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")
    headers = dict(parse_env_headers(given, liberal=True))
    return headers if key is None else {**headers, _KEY_ID: key.id, _KEY_SECRET: key.secret}
