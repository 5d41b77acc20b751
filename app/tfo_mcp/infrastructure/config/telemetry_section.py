"""Defines the section `telemetry`: export of the server's own telemetry, and the store for the telemetry tools."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from tfo_mcp.analysis.objectives import parse_objective
from tfo_mcp.infrastructure.config.sections import Section
from tfo_mcp.infrastructure.config.shapes import (
    Accepts,
    AlsoFrom,
    FilledText,
    OptionalEndpoint,
    OptionalSecret,
    OptionalText,
    OptionalUrl,
    Seconds,
    Switch,
    Texts,
    Whole,
)


def _switched(value: object) -> object:
    """Return the text for what YAML reads as a Boolean (`off`), and None for a blank."""
    if value is False:
        return "off"
    return (value.strip() or None) if isinstance(value, str) else value


_CLICKHOUSE = re.compile(r"(?:[^:/@\[\]\s]+@)?(?:[^:/@\[\]\s]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


def _store(value: str) -> str:
    if value in ("embedded", "off"):
        return value
    parts = urlsplit(value)
    if (
        parts.scheme not in ("clickhouse", "clickhouses")
        or not _CLICKHOUSE.fullmatch(parts.netloc)
        or parts.port == 0
        or not re.fullmatch(r"/[^/]+", parts.path)
        or parts.query
        or parts.fragment
    ):
        raise ValueError("not a URL of ClickHouse")
    return value


def _objective(value: str) -> str:
    parse_objective(value)
    return value


Objectives = Annotated[
    list[Annotated[str, AfterValidator(_objective)]],
    Accepts("a list of `SERVICE: 99.9 %` or `SERVICE: 95 % < 300ms`"),
]


class TelemetrySettings(Section):
    """Export of traces, metrics and logs by OpenTelemetry and Prometheus (docs/telemetry.md)."""

    service_name: Annotated[FilledText, AlsoFrom("OTEL_SERVICE_NAME")] = Field(
        default="tfo-mcp", description="Name of the service; every log line has it, too, as `service`."
    )
    environment: FilledText = Field(
        default="production",
        description="Deployment environment, e.g. `staging`; every log line has it, too, as `environment`.",
    )
    endpoint: Annotated[OptionalEndpoint, AlsoFrom("OTEL_EXPORTER_OTLP_ENDPOINT")] = Field(
        default=None,
        repr=False,
        description="OTLP endpoint for traces, metrics and logs, without the path of a signal such as /v1/traces. "
        "Unset: TelemetryFlow if an API key of it is set, otherwise nothing is exported.",
    )
    protocol: Annotated[Literal["grpc", "http/protobuf"], AlsoFrom("OTEL_EXPORTER_OTLP_PROTOCOL")] = Field(
        default="http/protobuf", description="OTLP protocol of the endpoint."
    )
    traces: Switch = Field(default=True, description="Whether traces are exported, if there is an endpoint.")
    metrics: Switch = Field(default=True, description="Whether metrics are exported, if there is an endpoint.")
    logs: Switch = Field(default=False, description="Whether log lines are exported, if there is an endpoint.")
    sample_ratio: Annotated[float, AlsoFrom("OTEL_TRACES_SAMPLER_ARG")] = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Fraction of traces to record. A sampling decision of the client takes precedence.",
    )
    content: Switch = Field(
        default=False,
        description="Whether spans include the arguments and results of tools, which may contain secrets.",
    )
    api_key_id: OptionalSecret = Field(
        default=None, description="ID of a TelemetryFlow API key, sent to the endpoint together with its secret."
    )
    api_key_secret: OptionalSecret = Field(default=None, description="Secret of the TelemetryFlow API key.")
    prometheus: Switch = Field(
        default=False,
        description="Whether GET /metrics serves the metrics for Prometheus. It needs no credentials, unless a proxy "
        "has forwarded the request.",
    )

    store: Annotated[
        Annotated[str, AfterValidator(_store)] | None,
        BeforeValidator(_switched),
        Accepts("`embedded`, `off`, `clickhouse://user@host:8123/database`, `clickhouses://` with TLS, or null"),
    ] = Field(
        default=None,
        description="Where the telemetry tools look (docs/telemetry-tools.md): `embedded` receives and stores "
        "telemetry in a process that all servers of this user share; `clickhouse://` is a ClickHouse that others fill "
        "(or this server, see `store_writes`), and needs the package's extra `clickhouse`. Unset: `embedded` over "
        "stdio, a Unix socket and loopback, if the package's extra `observability` is installed; otherwise `off`.",
    )
    store_password: OptionalSecret = Field(
        default=None, repr=False, description="Password of the user in a `clickhouse://` URL."
    )
    store_writes: Switch = Field(
        default=False,
        description="Whether this server fills the ClickHouse of `store`: it creates the tables, receives OTLP as with "
        "`embedded`, and ClickHouse deletes records at `max_age_seconds`. Needs the extra `observability`, too.",
    )
    store_max_seconds: Seconds = Field(
        default=20.0, description="Seconds after which ClickHouse stops a statement of the telemetry tools."
    )
    store_max_rows: Whole = Field(
        default=1_000_000_000,
        ge=0,
        description="Maximum rows that a statement may read in ClickHouse. 0: no limit of this server.",
    )
    access: Texts = Field(
        default=[],
        description="Which stored records network callers may read: rules such as `key:ID: tenant.id = acme` or "
        "`claim:tenant: tenant.id = $claim` (docs/telemetry-tools.md). Empty: all records. With rules, a caller "
        "without one reads nothing.",
    )
    slos: Objectives = Field(
        default=[],
        description="Objectives of services: `cart: 99.9 %` of requests without an error, or `cart: 95 % < 300ms` of "
        "requests that also end within that time. telemetry_overview shows their burn rates.",
    )
    otlp_host: FilledText = Field(
        default="127.0.0.1",
        description="Address on which the store receives OTLP. Beyond loopback, `ingest_key_id` and "
        "`ingest_key_secret` must be set.",
    )
    otlp_http_port: Whole = Field(
        default=4318,
        ge=0,
        le=65535,
        description="Port of OTLP over HTTP. If it is in use, the system chooses another one.",
    )
    otlp_grpc_port: Whole = Field(
        default=4317,
        ge=0,
        le=65535,
        description="Port of OTLP over gRPC. If it is in use, the system chooses another one.",
    )
    ingest_key_id: OptionalSecret = Field(
        default=None,
        description="Value of the header X-TelemetryFlow-Key-ID that senders need, together with the secret.",
    )
    ingest_key_secret: OptionalSecret = Field(
        default=None, description="Value of the header X-TelemetryFlow-Key-Secret that senders need."
    )
    forward: OptionalUrl = Field(
        default=None,
        repr=False,
        description="Base URL of a collector (OTLP over HTTP) that gets a copy of everything received, as it was sent.",
    )
    prometheus_url: OptionalUrl = Field(
        default=None,
        repr=False,
        description="Base URL of a Prometheus, Mimir, Thanos or VictoriaMetrics, whose metrics `query_metrics` shows "
        "besides those of the store; with the path before /api/v1, and with credentials if it needs basic "
        "authentication.",
    )
    prometheus_token: OptionalSecret = Field(default=None, description="Bearer token for `prometheus_url`.")
    prometheus_tenant: OptionalText = Field(
        default=None, description="Value of the header X-Scope-OrgID for `prometheus_url`, the tenant in Mimir."
    )
    max_age_seconds: Seconds = Field(default=86_400.0, description="Seconds after which stored telemetry is deleted.")
    max_store_bytes: Whole = Field(
        default=2 * 1024**3,
        ge=64 * 1024**2,
        description="Maximum bytes of the store; the oldest records are deleted beyond it.",
    )
    max_request_bytes: Whole = Field(
        default=16 * 1024**2,
        ge=1024,
        description="Maximum bytes of one export request, before and after decompression.",
    )
    max_queue_bytes: Whole = Field(
        default=64 * 1024**2,
        ge=1024**2,
        description="Maximum bytes of export requests that wait; beyond it, senders are asked to retry later.",
    )
    store_idle_seconds: Seconds = Field(
        default=1800.0,
        description="Seconds without a server or a sender after which the store process ends; it starts on demand.",
    )
    redact: Texts = Field(
        default=[],
        description="Names of attributes whose values are not stored, in addition to those of credentials.",
    )
