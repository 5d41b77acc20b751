"""The sections of the settings: names, defaults, limits and what each setting means.

Owns what can be configured; `settings` makes one model of it. Must not know files, variables or how values are merged.
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
    """One section of the settings: immutable, closed, and silent about its values in errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ServerSettings(Section):
    """Where the server listens and whom it listens to."""

    host: FilledText = Field(
        default="127.0.0.1",
        description="Address to bind. The default is reachable from this machine only; 0.0.0.0 is every interface.",
    )
    port: Whole = Field(default=8080, ge=0, le=65535, description="TCP port to bind; 0 lets the system choose one.")
    transport: Literal["stdio", "http", "websocket", "sse", "unix", "all"] = Field(
        default="stdio",
        description="What `tfo-mcp serve` serves when --transport is not given: `http` is every wire of the network "
        "from one port, `websocket` and `sse` one of them alone, `all` the network and stdio in one process.",
    )
    streamable_http: Switch = Field(default=True, description="Whether the network has Streamable HTTP, at /mcp.")
    websocket: Switch = Field(default=True, description="Whether the network has WebSocket, at /ws.")
    sse: Switch = Field(
        default=True, description="Whether the network has the older HTTP+SSE transport, at /sse and /messages."
    )
    playground: OptionalSwitch = Field(
        default=None,
        description="Whether GET / shows a page to try the server in a browser (it needs `websocket`). Unset: when "
        "bound to the loopback interface.",
    )
    socket_path: OptionalPath = Field(
        default=None, description="File of the Unix socket that `tfo-mcp serve --transport unix` listens on."
    )
    allowed_hosts: Hosts = Field(
        default=[],
        description="Values of the Host header to accept besides the names of the loopback interface and the address "
        "that a connection came in on.",
    )
    allowed_origins: Origins = Field(
        default=[],
        description="Values of the Origin header to accept besides the loopback's own, compared exactly; "
        "`null` is never accepted.",
    )
    trusted_proxies: Networks = Field(
        default=[],
        description="Addresses of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed; nobody else's are.",
    )
    max_connections: Whole = Field(
        default=10_000,
        ge=1,
        description="Maximum connections of the network. When it is reached, idle ones are closed first; then only "
        "health probes and authenticated callers are served, on a small reserve, and others are answered 503.",
    )
    max_connections_per_address: Whole = Field(
        default=0,
        ge=0,
        description="Maximum connections from one IPv4 address or IPv6 /64 prefix; 0 is half of `max_connections`. "
        "Those of `trusted_proxies` are not limited.",
    )
    max_body_bytes: Whole = Field(
        default=4 * 1024 * 1024,
        ge=1024,
        description="Largest request body, WebSocket message, and line on stdio or the Unix socket, in bytes.",
    )
    keep_alive_seconds: Seconds = Field(
        default=15.0, description="Seconds after which an idle event stream gets a comment, so that proxies keep it."
    )

    drain_seconds: Seconds = Field(
        default=30.0, description="Seconds that calls may run on when the server is told to stop."
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
    """What the server offers to clients, and how long it waits for them."""

    plugins: Modules = Field(
        default=[],
        description="Python modules with tools, resources and prompts of your own. Those that are named are also "
        "imported from the directory of the configuration file.",
    )
    page_size: Whole = Field(default=1000, ge=1, le=100_000, description="Most entries in one page of a list.")
    cache_ttl_ms: Whole = Field(
        default=60_000,
        ge=0,
        description="Milliseconds for which clients may keep lists and resources they have read (`ttlMs`).",
    )
    instructions: str = Field(
        default="", description="Text that tells the client's model how to use this server; empty sends none."
    )
    call_timeout_seconds: Seconds = Field(default=600.0, description="Seconds after which a call is ended.")
    ask_timeout_seconds: Seconds = Field(
        default=300.0, description="Seconds to wait for the client's answer to a question of a tool."
    )
    session_idle_seconds: Seconds = Field(
        default=1800.0,
        description="Seconds without a request after which a session is closed. One whose connection or stream stands "
        "is not idle.",
    )
    max_sessions: Whole = Field(default=10_000, ge=1, description="Most sessions that are open at once.")
    max_sessions_per_caller: Whole = Field(
        default=2_000,
        ge=1,
        description="Maximum sessions of one client: a caller with credentials, or a network without. One more ends "
        "the longest idle one.",
    )
    stream_history: Whole = Field(
        default=1000,
        ge=1,
        description="Most events kept for each event stream that a client can resume; a session's streams together "
        "keep 4 MiB of them, a client's sessions `limits.history_bytes`.",
    )
    state_key: OptionalKey = Field(
        default=None,
        description="Secret that seals `requestState`. Unset, each process draws its own; set the same one on all "
        "replicas.",
    )
    request_state_seconds: Seconds = Field(
        default=600.0, description="Seconds for which a sealed `requestState` is accepted."
    )


class ClaudeSettings(Section):
    """The language model behind the tool claude_conversation."""

    api_key: Annotated[OptionalSecret, AlsoFrom("ANTHROPIC_API_KEY")] = Field(
        default=None,
        description="Secret key of the Anthropic API; better set in the environment than in a file. The variable "
        "ANTHROPIC_API_KEY is used when the product's own variable is not set.",
    )
    base_url: OptionalUrl = Field(
        default=None, repr=False, description="Address of the Messages API; unset, the one of the Anthropic SDK."
    )
    model: FilledText = Field(default="claude-sonnet-5-5", description="Model to use when a call names none.")
    max_tokens: Whole = Field(default=1024, ge=1, description="Longest answer, in tokens, when a call names no limit.")
    timeout_seconds: Seconds = Field(default=120.0, description="Seconds to wait for one answer of the API.")
    max_retries: Whole = Field(default=2, ge=0, description="Further attempts after a failure that may pass.")


class LoggingSettings(Section):
    """Log lines, always on stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least important level that is written."
    )
    format: Literal["json", "console"] = Field(
        default="console", description="Lines for machines (json) or for people (console)."
    )


class TelemetrySettings(Section):
    """How this server names itself where it is observed, and what it tells of its calls (docs/telemetry.md)."""

    service_name: Annotated[FilledText, AlsoFrom("OTEL_SERVICE_NAME")] = Field(
        default="tfo-mcp", description="Name of the service, also on every log line, as `service`."
    )
    environment: FilledText = Field(
        default="production", description="Place of deployment, also on every log line, as `environment`."
    )
    endpoint: Annotated[OptionalUrl, AlsoFrom("OTEL_EXPORTER_OTLP_ENDPOINT")] = Field(
        default=None,
        repr=False,
        description="OTLP endpoint that traces, metrics and logs go to, without the path of a signal. Unset: they go "
        "nowhere, or with a key of the platform to TelemetryFlow.",
    )
    protocol: Annotated[Literal["grpc", "http/protobuf"], AlsoFrom("OTEL_EXPORTER_OTLP_PROTOCOL")] = Field(
        default="http/protobuf", description="How the endpoint is spoken to."
    )
    traces: Switch = Field(default=True, description="Whether calls become spans, where there is an endpoint.")
    metrics: Switch = Field(default=True, description="Whether metrics are sent, where there is an endpoint.")
    logs: Switch = Field(default=False, description="Whether log lines are sent, too, where there is an endpoint.")
    sample_ratio: Annotated[float, AlsoFrom("OTEL_TRACES_SAMPLER_ARG")] = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Part of the traces that are recorded, of those that the client has not decided about.",
    )
    content: Switch = Field(
        default=False, description="Whether spans carry the arguments and results of tools, secrets among them."
    )
    api_key_id: OptionalSecret = Field(
        default=None, description="Id of a TelemetryFlow API key, sent to the endpoint together with its secret."
    )
    api_key_secret: OptionalSecret = Field(default=None, description="Secret of that key.")
    prometheus: Switch = Field(
        default=False,
        description="Whether GET /metrics shows the metrics to Prometheus, without credentials unless a proxy has "
        "forwarded the request.",
    )


class FilesSettings(Section):
    """Limits of the file tools and file resources."""

    roots: OptionalRoots = Field(
        default=None,
        description="Directories outside of which no file is read or written. Relative ones start at the working "
        "directory, `~` at the home directory. With `read_only`, nothing in one is changed. Unset: the working "
        "directory, unless that is the home directory, the server's state directory, an ancestor of one of these, or "
        "a directory of the system: then there are no file tools and no commands.",
    )
    max_read_bytes: Whole = Field(
        default=1024 * 1024,
        ge=1,
        description="Most bytes of a file that are read at once; of a text file that is larger, parts can be read.",
    )
    max_write_bytes: Whole = Field(
        default=1024 * 1024,
        ge=1,
        description="Largest content that is written, and largest file that is edited, in bytes.",
    )
    max_entries: Whole = Field(default=1000, ge=1, description="Most entries or matches in one answer.")
    search_timeout_seconds: Seconds = Field(
        default=30.0, description="Seconds after which a search answers with what it has found."
    )


class CommandsSettings(Section):
    """The sandbox of the tool execute_command, and its limits."""

    sandbox: Literal["auto", "landlock", "bwrap", "none"] = Field(
        default="auto",
        description="What holds commands and searches: the kernel's Landlock and seccomp, bubblewrap's namespaces "
        "around them, the stronger that this machine has, or nothing at all. Where it is not available, no command "
        "is run; `tfo-mcp doctor` says what is.",
    )
    shell: Switch = Field(
        default=True, description="Whether commands may be texts for the shell, not only programs with arguments."
    )
    allow: Texts = Field(
        default=[],
        description="Command lines that may be run, e.g. `git status` or `npm run *`: `*` and `?` stand for characters "
        "of one argument, a last `**` for any further arguments. Texts for the shell are `/bin/sh -c *`. Without any, "
        "every program may be run.",
    )
    readable: Paths = Field(
        default=[],
        description="Files and directories that commands may read beside the roots and what programs usually need "
        "(/usr, parts of /etc, and such).",
    )
    environment: Variables = Field(
        default=[],
        description="Variables of the server's environment that commands get beside PATH, LANG, LC_*, TERM and TZ.",
    )
    network: Switch = Field(default=False, description="Whether commands can reach the network.")

    timeout_seconds: Seconds = Field(
        default=30.0, description="Seconds after which a command is ended when the call names no limit."
    )
    max_timeout_seconds: Seconds = Field(default=300.0, description="Longest limit in seconds that a call may name.")
    max_output_bytes: Whole = Field(
        default=256 * 1024,
        ge=1,
        description="Most bytes of each of a command's two outputs in an answer: the beginning and the end.",
    )
    max_saved_bytes: Whole = Field(
        default=1024 * 1024 * 1024,
        ge=0,
        description="Most bytes of longer outputs on the disk, all together; they can be read for an hour.",
    )
    max_cpu_seconds: Whole = Field(default=300, ge=1, description="Most seconds of a processor for each process.")
    max_memory_bytes: Whole = Field(
        default=2 * 1024 * 1024 * 1024,
        ge=1024 * 1024,
        description="Most memory for the data of each process, in bytes.",
    )
    max_file_bytes: Whole = Field(
        default=1024 * 1024 * 1024, ge=1, description="Largest file that a command can write, in bytes."
    )
    max_processes: Whole = Field(
        default=256,
        ge=1,
        description="Most processes and threads of one command at once; with more it is ended, or cannot start them.",
    )
