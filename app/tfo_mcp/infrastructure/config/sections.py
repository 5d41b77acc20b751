"""Defines the sections of the settings: the name, default, limits and description of each setting.

Owns what can be configured; `settings` composes the sections into one model. Must not know files, environment variables
or how values are merged.
"""

from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tfo_mcp.infrastructure.config.shapes import (
    AlsoFrom,
    FilledText,
    Hosts,
    Modules,
    Networks,
    OptionalKey,
    OptionalPath,
    OptionalRoots,
    OptionalSecret,
    OptionalSwitch,
    OptionalUrl,
    Origins,
    Paths,
    Seconds,
    Switch,
    Texts,
    Variables,
    Whole,
)


class Section(BaseModel):
    """Base of a section: immutable, without unknown settings, and its errors never show configured values."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ServerSettings(Section):
    """Transports, addresses, and the hosts, origins and proxies that the server accepts."""

    host: FilledText = Field(
        default="127.0.0.1",
        description="Address to bind. The default is reachable from this machine only; 0.0.0.0 binds all IPv4 "
        "interfaces.",
    )
    port: Whole = Field(default=8080, ge=0, le=65535, description="TCP port to bind; 0 lets the system choose one.")
    transport: Literal["stdio", "http", "websocket", "sse", "unix", "all"] = Field(
        default="stdio",
        description="Transport of `tfo-mcp serve` without --transport. `http` serves all network transports on one "
        "port, `websocket` or `sse` only that one, `all` the network transports and stdio in one process.",
    )
    streamable_http: Switch = Field(default=True, description="Whether Streamable HTTP is served, at /mcp.")
    websocket: Switch = Field(default=True, description="Whether WebSocket is served, at /ws.")
    sse: Switch = Field(
        default=True, description="Whether the older HTTP+SSE transport is served, at /sse and /messages."
    )
    playground: OptionalSwitch = Field(
        default=None,
        description="Whether GET / serves a page to try the server in a browser; requires `websocket`. Unset: only "
        "when bound to the loopback interface.",
    )
    socket_path: OptionalPath = Field(
        default=None, description="Path of the Unix socket that `tfo-mcp serve --transport unix` listens on."
    )
    allowed_hosts: Hosts = Field(
        default=[],
        description="Values of the Host header to accept, in addition to loopback names and the local address of "
        "the connection.",
    )
    allowed_origins: Origins = Field(
        default=[],
        description="Values of the Origin header to accept, in addition to loopback origins of the requested scheme "
        "and port. They are compared exactly; `null` is never accepted.",
    )
    trusted_proxies: Networks = Field(
        default=[],
        description="Addresses of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto headers are trusted. "
        "From other addresses these headers are not trusted.",
    )
    max_connections: Whole = Field(
        default=10_000,
        ge=1,
        description="Maximum network connections. At the limit, idle connections are closed first. Then a small "
        "reserve serves only health probes and authenticated callers; other requests are answered 503.",
    )
    max_connections_per_address: Whole = Field(
        default=0,
        ge=0,
        description="Maximum connections from one IPv4 address or IPv6 /64 prefix; 0 means half of "
        "`max_connections`. Connections from `trusted_proxies` are not limited.",
    )
    max_body_bytes: Whole = Field(
        default=4 * 1024 * 1024,
        ge=1024,
        description="Maximum bytes of a request body, of a WebSocket message, and of a line on stdio or the Unix "
        "socket.",
    )
    keep_alive_seconds: Seconds = Field(
        default=15.0,
        description="Seconds after which a comment is sent on an idle event stream, so that proxies keep it open.",
    )

    drain_seconds: Seconds = Field(
        default=30.0,
        description="Seconds that calls in flight have to finish during a graceful shutdown; then they are cancelled.",
    )

    @property
    def is_loopback(self) -> bool:
        """Whether the network reaches the server from this machine only."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


class McpSettings(Section):
    """Plugins, listings, calls, sessions and resumable streams of the protocol."""

    plugins: Modules = Field(
        default=[],
        description="Python modules to import that define your own tools, resources and prompts. The directory of "
        "the configuration file is searched, too.",
    )
    page_size: Whole = Field(default=1000, ge=1, le=100_000, description="Maximum entries in one page of a list.")
    cache_ttl_ms: Whole = Field(
        default=60_000,
        ge=0,
        description="Milliseconds for which clients may cache lists and resources (`ttlMs`).",
    )
    instructions: str = Field(
        default="",
        description="Instructions for the client's model on how to use this server; if empty, none are sent.",
    )
    call_timeout_seconds: Seconds = Field(
        default=600.0, description="Seconds after which a call is cancelled; `subscriptions/listen` has no limit."
    )
    ask_timeout_seconds: Seconds = Field(
        default=300.0,
        description="Seconds to wait for the client's response to a request of the server, e.g. an elicitation.",
    )
    session_idle_seconds: Seconds = Field(
        default=1800.0,
        description="Seconds without a request after which a session is closed. A session with an open connection or "
        "stream is not idle.",
    )
    max_sessions: Whole = Field(default=10_000, ge=1, description="Maximum sessions that are open at once.")
    max_sessions_per_caller: Whole = Field(
        default=2_000,
        ge=1,
        description="Maximum sessions of one client, as `limits.streams` defines a client. At the limit, a new "
        "session replaces the longest idle one.",
    )
    stream_history: Whole = Field(
        default=1000,
        ge=1,
        description="Maximum events kept of each event stream that a client can resume. All streams of a session "
        "keep at most 4 MiB, all sessions of a client at most `limits.history_bytes`.",
    )
    state_key: OptionalKey = Field(
        default=None,
        description="Secret that signs `requestState` (HMAC-SHA-256). Unset: each process generates one. Set the same "
        "secret on all replicas.",
    )
    request_state_seconds: Seconds = Field(
        default=600.0, description="Seconds for which a `requestState` is accepted after the server has issued it."
    )


class ClaudeSettings(Section):
    """The language model of the tool claude_conversation."""

    api_key: Annotated[OptionalSecret, AlsoFrom("ANTHROPIC_API_KEY")] = Field(
        default=None,
        description="API key of the Anthropic API. Prefer an environment variable to a file. ANTHROPIC_API_KEY is "
        "used when the variable with this product's prefix is not set.",
    )
    base_url: OptionalUrl = Field(
        default=None, repr=False, description="Base URL of the Messages API. Unset: the default of the Anthropic SDK."
    )
    model: FilledText = Field(default="claude-sonnet-5-5", description="Model to use when a call names none.")
    max_tokens: Whole = Field(default=1024, ge=1, description="Maximum tokens of a reply when a call gives no maximum.")
    timeout_seconds: Seconds = Field(default=120.0, description="Seconds to wait for one response of the API.")
    max_retries: Whole = Field(default=2, ge=0, description="Maximum retries after a transient failure.")


class LoggingSettings(Section):
    """The log, which is always written to stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Minimum level of the lines that are written."
    )
    format: Literal["json", "console"] = Field(
        default="console", description="Format of a line: `json` for machines, `console` for people."
    )


class TelemetrySettings(Section):
    """Export of traces, metrics and logs by OpenTelemetry and Prometheus (docs/telemetry.md)."""

    service_name: Annotated[FilledText, AlsoFrom("OTEL_SERVICE_NAME")] = Field(
        default="tfo-mcp", description="Name of the service; every log line has it, too, as `service`."
    )
    environment: FilledText = Field(
        default="production",
        description="Deployment environment, e.g. `staging`; every log line has it, too, as `environment`.",
    )
    endpoint: Annotated[OptionalUrl, AlsoFrom("OTEL_EXPORTER_OTLP_ENDPOINT")] = Field(
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


class FilesSettings(Section):
    """Directories and limits of the file tools and file resources."""

    roots: OptionalRoots = Field(
        default=None,
        description="Directories that the file tools can reach; no file outside of them is read or written. A "
        "relative path starts at the working directory, `~` is the home directory. Nothing in a `read_only` root is "
        "changed. Unset: the working directory, unless it is the home directory, the server's state directory, an "
        "ancestor of either, or a system directory; then there are no file tools and no commands.",
    )
    max_read_bytes: Whole = Field(
        default=1024 * 1024,
        ge=1,
        description="Maximum bytes of a file that one call reads. Larger text files can be read in parts.",
    )
    max_write_bytes: Whole = Field(
        default=1024 * 1024,
        ge=1,
        description="Maximum bytes of content to write, and of a file to edit.",
    )
    max_entries: Whole = Field(default=1000, ge=1, description="Maximum entries or matches in one result.")
    search_timeout_seconds: Seconds = Field(
        default=30.0, description="Seconds after which a search stops and returns the matches found so far."
    )


class CommandsSettings(Section):
    """Sandbox, permissions and limits of the tool execute_command."""

    sandbox: Literal["auto", "landlock", "bwrap", "none"] = Field(
        default="auto",
        description="Sandbox of commands and searches. `landlock` uses the kernel's Landlock and seccomp, `bwrap` "
        "adds the namespaces of bubblewrap, `auto` takes the stronger one available, `none` confines nothing. If it "
        "is not available, no command runs; `tfo-mcp doctor` shows what is.",
    )
    shell: Switch = Field(
        default=True, description="Whether shell command lines are allowed, in addition to programs with arguments."
    )
    allow: Texts = Field(
        default=[],
        description="Allowlist of command lines, e.g. `git status` or `npm run *`. `*` and `?` match characters "
        "within one argument, a final `**` any further arguments. `/bin/sh -c *` matches shell command lines. Empty: "
        "every program is allowed.",
    )
    readable: Paths = Field(
        default=[],
        description="Files and directories that commands may read, in addition to the roots and to the system paths "
        "that most programs need, such as /usr and parts of /etc.",
    )
    environment: Variables = Field(
        default=[],
        description="Environment variables that commands inherit from the server, in addition to PATH, LANG, LC_*, "
        "TERM and TZ.",
    )
    network: Switch = Field(default=False, description="Whether commands can access the network.")

    timeout_seconds: Seconds = Field(
        default=30.0, description="Seconds after which a command is stopped if the call gives no timeout."
    )
    max_timeout_seconds: Seconds = Field(
        default=300.0, description="Maximum timeout, in seconds, that a call may give."
    )
    max_output_bytes: Whole = Field(
        default=256 * 1024,
        ge=1,
        description="Maximum bytes of stdout and of stderr in a result; longer output is truncated in the middle.",
    )
    max_saved_bytes: Whole = Field(
        default=1024 * 1024 * 1024,
        ge=0,
        description="Maximum bytes on disk of all truncated outputs together; each can be read in full for an hour.",
    )
    max_cpu_seconds: Whole = Field(default=300, ge=1, description="Maximum CPU seconds of each process.")
    max_memory_bytes: Whole = Field(
        default=2 * 1024 * 1024 * 1024,
        ge=1024 * 1024,
        description="Maximum bytes of data memory of each process (RLIMIT_DATA).",
    )
    max_file_bytes: Whole = Field(
        default=1024 * 1024 * 1024, ge=1, description="Maximum bytes of a file that a command writes."
    )
    max_processes: Whole = Field(
        default=256,
        ge=1,
        description="Maximum processes and threads of one command at once. Beyond it, the command is stopped or "
        "cannot start more.",
    )
