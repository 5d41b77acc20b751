"""A real nginx in front of some ports, with the documented configuration `deploy/nginx/tfo-mcp.conf`.

Owns the main configuration around it (user, directories, logs) and the process. Knows nothing of MCP.
"""

import os
import pwd
import string
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.support.deadlines import PATIENCE
from tests.support.processes import LOOPBACK, PROJECT, Child, StartError, free_port
from tests.support.programs import await_connection, path_of, program

TEMPLATE = PROJECT / "deploy" / "nginx" / "tfo-mcp.conf"
_AROUND = """\
daemon off;
worker_processes 2;
pid {directory}/nginx.pid;
error_log {log} info;
{user}
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {directory}/bodies;
    proxy_temp_path {directory}/answers;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    {tls}
    include {site};
}}
"""


@dataclass(frozen=True)
class Nginx:
    """A running nginx."""

    child: Child
    port: int
    log: Path

    @property
    def url(self) -> str:
        """The endpoint of Streamable HTTP behind it."""
        return f"http://{LOOPBACK}:{self.port}/mcp"

    def problems(self) -> Sequence[str]:
        """Return the lines of the error log with the level `error` or above."""
        serious = ("[error]", "[crit]", "[alert]", "[emerg]")
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return [line for line in lines if any(level in line for level in serious)]


Upstream = Literal["tfo_mcp_by_caller", "tfo_mcp_any"]
"""The upstream for sessions: sticky, or round robin for processes that share a Redis."""


@dataclass(frozen=True)
class Certificate:
    """The PEM files of a certificate and its private key."""

    chain: Path
    key: Path


def self_signed(directory: Path, names: Sequence[str]) -> Certificate:
    """Create a self-signed certificate for these host names and addresses.

    Raises:
        StartError: openssl is not installed.
    """
    made = Certificate(directory / "certificate.pem", directory / "key.pem")
    kinds = ", ".join(f"{'IP' if name[0].isdigit() else 'DNS'}:{name}" for name in names)
    line = [path_of("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    line += ["-days", "1", "-subj", f"/CN={names[0]}", "-addext", f"subjectAltName={kinds}"]
    line += ["-keyout", str(made.key), "-out", str(made.chain)]
    subprocess.run(line, check=True, capture_output=True, timeout=PATIENCE)
    return made


def configuration(
    directory: Path,
    listen: str,
    ports: Sequence[int],
    sessions: Upstream = "tfo_mcp_by_caller",
    certificate: Certificate | None = None,
) -> list[str]:
    """Write a complete configuration into a directory, and return the command line that runs nginx with it.

    Args:
        listen: the address that nginx binds.
        ports: the ports of the processes on this machine.
        sessions: the upstream for sessions.
        certificate: enables TLS.

    Raises:
        StartError: nginx is not installed.
    """
    values = {
        "TFO_MCP_LISTEN": f"{listen} ssl" if certificate else listen,
        "TFO_MCP_SERVERS": " ".join(f"server {LOOPBACK}:{port} max_fails=0;" for port in ports),
        "TFO_MCP_SESSIONS": sessions,
    }
    return configuration_of(directory, values, certificate)


def configuration_of(directory: Path, values: Mapping[str, str], certificate: Certificate | None = None) -> list[str]:
    """Do the same as `configuration` with the values of the variables, which are substituted as `envsubst` does."""
    content = string.Template(TEMPLATE.read_text(encoding="utf-8")).safe_substitute(values)
    return _with_site(directory, content, certificate)


def _with_site(directory: Path, content: str, certificate: Certificate | None = None) -> list[str]:
    site, main, log = directory / "tfo-mcp.conf", directory / "nginx.conf", directory / "error.log"
    site.write_text(content, encoding="utf-8")
    # started by root, nginx would run its workers as another user, which cannot write into the directory
    user = f"user {pwd.getpwuid(0).pw_name};" if os.getuid() == 0 else ""
    tls = f"ssl_certificate {certificate.chain}; ssl_certificate_key {certificate.key};" if certificate else ""
    main.write_text(_AROUND.format(directory=directory, log=log, site=site, user=user, tls=tls), encoding="utf-8")
    return [path_of("nginx"), "-p", str(directory), "-e", str(log), "-c", str(main)]


def checked(line: Sequence[str]) -> str:
    """Run nginx's check of its configuration and return the output.

    Raises:
        StartError: nginx rejects the configuration.
    """
    check = subprocess.run([*line, "-t"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    if check.returncode != 0:
        raise StartError(check.stderr)
    return check.stderr


@contextmanager
def nginx(
    directory: Path,
    *ports: int,
    sessions: Upstream = "tfo_mcp_by_caller",
    certificate: Certificate | None = None,
) -> Iterator[Nginx]:
    """Run an nginx in front of ports of this machine until the end of the block.

    Args:
        directory: an empty directory for everything that nginx writes.
        ports: the ports.
        sessions: the upstream for sessions.
        certificate: enables TLS.

    Raises:
        StartError: nginx is not installed, rejects its configuration, or does not begin to listen.
    """
    port = free_port()
    line = configuration(directory, f"{LOOPBACK}:{port}", ports, sessions, certificate)
    with program(line, directory) as running:
        await_connection(running, port)
        yield Nginx(running, port, directory / "error.log")


_PREFIXED = """
server {{
    listen {listen};
    location {prefix} {{
        proxy_pass http://{server}{target};
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $http_connection;
        proxy_buffering off;
    }}
}}
"""


@contextmanager
def prefix_proxy(
    directory: Path, port: int, prefix: str, *, keeps: bool = False, certificate: Certificate | None = None
) -> Iterator[int]:
    """Run an nginx that serves a port of this machine beneath a path prefix; yield its own port.

    Args:
        directory: an empty directory for everything that nginx writes.
        port: the port.
        prefix: the path prefix.
        keeps: whether nginx passes the prefix on; otherwise it removes it.
        certificate: enables TLS.

    Raises:
        StartError: nginx is not installed, or does not begin to listen.
    """
    listens = free_port()
    listen = f"{LOOPBACK}:{listens} ssl" if certificate else f"{LOOPBACK}:{listens}"
    location, target = (prefix, "") if keeps else (f"{prefix}/", "/")
    site = _PREFIXED.format(listen=listen, prefix=location, server=f"{LOOPBACK}:{port}", target=target)
    with program(_with_site(directory, site, certificate), directory) as running:
        await_connection(running, listens)
        yield listens
