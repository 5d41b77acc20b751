"""The sections of the settings: names, defaults, limits and what each setting means.

Owns what can be configured; `settings` makes one model of it. Must not know files, variables or how values are merged.
"""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.infrastructure.config.shapes import (
    AlsoFrom,
    FilledText,
    Hosts,
    Modules,
    Networks,
    OptionalKey,
    OptionalOAuth,
    OptionalPath,
    OptionalSecret,
    OptionalSwitch,
    OptionalUrl,
    OptionalWhole,
    Origins,
    Paths,
    RootPath,
    Roots,
    Seconds,
    Switch,
    Texts,
    ToolRates,
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
        default=10_000, ge=1, description="Most connections of the network at once; further ones are answered 503."
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
        description="Python modules with tools, resources and prompts of your own. The directory of the configuration "
        "file is importable.",
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
        default=5_000, ge=1, description="Most sessions of one caller; all callers without credentials count as one."
    )
    stream_history: Whole = Field(
        default=1000,
        ge=1,
        description="Most events kept for each event stream that a client can resume; a session's streams together "
        "keep 4 MiB of them.",
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
        default=False, description="Whether GET /metrics shows the metrics to Prometheus, without credentials."
    )


class FilesSettings(Section):
    """Limits of the file tools and file resources."""

    roots: Roots = Field(
        default=[RootPath(Path("."))],
        description="Directories outside of which no file is read or written. Relative ones start at the working "
        "directory, `~` at the home directory. With `read_only`, nothing in one is changed.",
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


class SecuritySettings(Section):
    """Who may call over the network, what they may do, and what is written down of it."""

    require_key: OptionalSwitch = Field(
        default=None,
        description="Whether network callers need an API key or a token. Unset: when the server is not bound to the "
        "loopback interface. On stdio and the Unix socket the caller is the owner of the process.",
    )
    anonymous: Literal["none", "read", "all"] = Field(
        default="read",
        description="What network callers without credentials may do, where they need none: nothing, what only reads, "
        "or everything.",
    )
    keys_file: OptionalPath = Field(
        default=None,
        description="File of the API keys, its owner's alone (0600); `tfo-mcp keys` makes it. Unset: keys.json in "
        "$XDG_STATE_HOME/tfo-mcp, or ~/.local/state/tfo-mcp.",
    )
    key_pepper: OptionalKey = Field(
        default=None,
        description="Secret under which the digests of API keys are made, so that the file alone is of no use. Unset: "
        "one is made, and kept beside the file. Another one makes all keys invalid.",
    )
    oauth: OptionalOAuth = Field(
        default=None,
        description="Authorization server whose tokens are taken, too: `issuer`, `audience` (this server's URL), "
        "`jwks_url`, and the `algorithms` of its signatures (RS256 and ES256).",
    )
    audit: Switch = Field(
        default=True, description="Whether decisions, and calls that change or run something, are written down."
    )
    audit_file: OptionalPath = Field(
        default=None,
        description="File that the audit log is appended to, as lines of JSON. Unset: audit.jsonl beside the default "
        "`keys_file`.",
    )
    audit_max_bytes: Whole = Field(
        default=64 * 1024 * 1024,
        ge=0,
        description="Size in bytes above which the audit log is rotated: renamed to .1, older ones to .2 and so on. "
        "0 leaves rotation to another program.",
    )
    audit_files: Whole = Field(
        default=5, ge=1, le=1000, description="Number of rotated audit logs to keep; older ones are deleted."
    )
    audit_required: Switch = Field(
        default=False,
        description="Whether tools that change or run something, and changes of keys, are refused while the audit log "
        "cannot be written. Their start is recorded, too.",
    )


class LimitsSettings(Section):
    """How much callers of the network may ask for; 0 is no limit, and on the loopback interface so is unset."""

    calls_per_minute: OptionalWhole = Field(
        default=None, description="Calls of one caller with a key or token, each minute. Unset: 6000."
    )
    anonymous_calls_per_minute: OptionalWhole = Field(
        default=None, description="Calls without credentials from one address, each minute. Unset: 600."
    )
    burst: Whole = Field(default=100, ge=1, description="How many of these calls may come at once.")
    tool_calls_per_minute: ToolRates = Field(
        default=[], description="Calls of single tools by one caller, each minute, e.g. `execute_command=30`."
    )
    calls_at_once: OptionalWhole = Field(
        default=None, description="Calls of one caller that may run at the same time. Unset: 64."
    )
    claude_tokens_per_day: Whole = Field(
        default=0,
        ge=0,
        description="Tokens that one caller may use with claude_conversation in a day; they come back evenly.",
    )
    wrong_credentials_per_minute: Whole = Field(
        default=20,
        ge=1,
        description="Wrong keys or tokens of one address, each minute and at once, that are answered 401; further ones "
        "get 429. Good ones are always taken.",
    )
