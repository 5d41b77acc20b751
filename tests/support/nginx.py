"""A real nginx in front of two ports, with the documented configuration `deploy/nginx/tfo-mcp.conf`.

Owns the main configuration around it (user, directories, logs) and the process. Knows nothing of MCP.
"""

import os
import pwd
import string
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

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


def rendered(listen: str, first: int, second: int) -> str:
    """Return the documented configuration with its variables substituted, as `envsubst` does.

    Args:
        listen: the address that nginx binds.
        first, second: the ports of the two processes on this machine.
    """
    places = {
        "TFO_MCP_LISTEN": listen,
        "TFO_MCP_FIRST": f"{LOOPBACK}:{first}",
        "TFO_MCP_SECOND": f"{LOOPBACK}:{second}",
    }
    return string.Template(TEMPLATE.read_text(encoding="utf-8")).safe_substitute(places)


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
    directory: Path, listen: str, first: int, second: int, certificate: Certificate | None = None
) -> list[str]:
    """Write a complete configuration into a directory, and return the command line that runs nginx with it.

    Raises:
        StartError: nginx is not installed.
    """
    site, main, log = directory / "tfo-mcp.conf", directory / "nginx.conf", directory / "error.log"
    site.write_text(rendered(f"{listen} ssl" if certificate else listen, first, second), encoding="utf-8")
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
def nginx(directory: Path, first: int, second: int, *, certificate: Certificate | None = None) -> Iterator[Nginx]:
    """Run an nginx in front of two ports of this machine until the end of the block.

    Args:
        directory: an empty directory for everything that nginx writes.
        first, second: the ports.
        certificate: enables TLS.

    Raises:
        StartError: nginx is not installed, rejects its configuration, or does not begin to listen.
    """
    port = free_port()
    line = configuration(directory, f"{LOOPBACK}:{port}", first, second, certificate)
    with program(line, directory) as running:
        await_connection(running, port)
        yield Nginx(running, port, directory / "error.log")
