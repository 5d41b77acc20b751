"""Defines the sections of the settings: the name, default, limits and description of each setting.

Owns what can be configured; `settings` composes the sections into one model. Must not know files, environment variables
or how values are merged.
"""

from ipaddress import ip_address
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tfo_mcp.infrastructure.config.shapes import (
    BasePath,
    FilledText,
    Hosts,
    Modules,
    Networks,
    OptionalKey,
    OptionalPath,
    OptionalRoots,
    OptionalSwitch,
    Origins,
    Paths,
    Seconds,
    StateUrl,
    Switch,
    Texts,
    Variables,
    Whole,
    WorkerCount,
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
    workers: WorkerCount = Field(
        default=1,
        description="Processes that serve the network transports on one port; `auto` is the number of processors. "
        "Several share their state through Redis (`state.url`). Limits of connections apply to each process.",
    )
    base_path: BasePath = Field(
        default="",
        description="Path prefix beneath which clients find every network path, e.g. /tools for /tools/mcp. Requests "
        "without it are served too: a proxy may have removed it. A prefix that a trusted proxy reports replaces it.",
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
        description="Values of the Origin header to accept, in addition to the server's own origin and to loopback "
        "origins of the requested scheme and port. They are compared exactly; `null` is never accepted.",
    )
    trusted_proxies: Networks = Field(
        default=[],
        description="Addresses of reverse proxies whose X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Prefix "
        "headers are trusted. "
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


class StateSettings(Section):
    """What replicas share: sessions, resumable streams, rate limits, and changes that clients are notified of."""

    url: StateUrl = Field(
        default="memory:",
        repr=False,
        description="`memory:` for one process, or the Redis that several processes share: `redis://host:6379/0`, "
        "`rediss://` with TLS, or `redis+sentinel://host:26379,host:26379/service/0`. Prefer an environment variable "
        "to a file if it contains a password.",
    )
    key_prefix: FilledText = Field(
        default="tfo-mcp:",
        description="Prefix of all keys and channels in Redis. Replicas of one server have the same.",
    )
    timeout_seconds: Seconds = Field(
        default=0.25,
        description="Seconds after which a call to Redis counts as failed. While calls fail, the server goes on "
        "without it (docs/reliability.md).",
    )

    @property
    def is_memory(self) -> bool:
        """Whether the state is in the memory of this process."""
        return self.url == "memory:"


class LoggingSettings(Section):
    """The log, which is always written to stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Minimum level of the lines that are written."
    )
    format: Literal["json", "console"] = Field(
        default="console", description="Format of a line: `json` for machines, `console` for people."
    )


class FilesSettings(Section):
    """Directories and limits of the file tools and file resources."""

    roots: OptionalRoots = Field(
        default=None,
        description="Directories that the file tools can reach; no file outside of them is read or written. A "
        "relative path starts at the working directory, `~` is the home directory. Nothing in a `read_only` root is "
        "changed. `client` confines each client that declares roots to the directories that it lists, within the other "
        "items if there are any; a directory of this name is `./client`. Unset: the working directory, unless it is "
        "the home directory, the server's state directory, an ancestor of either, a system directory or a disk; then "
        "there are no file tools and no commands.",
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
        default=18 * 1024,
        ge=1,
        description="Maximum bytes of stdout and of stderr in a result; longer output is truncated in the middle. Some "
        "hosts cut off results above 50,000 characters.",
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
