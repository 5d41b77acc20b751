"""`make image-test`: builds the Dockerfile without a container engine, and uses the image as its users would.

buildah builds and runs it, on a Debian that debootstrap makes; both are Debian's packages, and it has to be root. No
part of `make test`: it takes minutes and gigabytes.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import psutil

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import LATEST_HANDSHAKE, initialize_params, request
from tests.support.processes import LOOPBACK, PROJECT, free_port

SUITE = "bookworm"
PACKAGES = "ca-certificates,python3,python3-venv"
SLOW = 6 * PATIENCE
OF_THIS_MACHINE = ("/etc/ssl/certs", "/etc/pip.conf")
"""How packages are fetched here; the build sees it, the image does not keep it."""


class Images:
    """Images and containers, kept in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, *arguments: str) -> str:
        """Run buildah and return what it prints."""
        done = subprocess.run(self.line(*arguments), check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout.strip()

    def line(self, *arguments: str) -> list[str]:
        """Return buildah's command line."""
        places = ["--root", str(self._folder / "root"), "--runroot", str(self._folder / "run")]
        return ["buildah", *places, "--storage-driver", "vfs", *arguments]

    def base(self) -> str:
        """Make an image of a Debian with Python."""
        system = self._folder / "debian"
        subprocess.run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(system)], check=True)
        container = self.run("from", "scratch")
        self.run("copy", "--quiet", container, str(system), "/")
        self.run("commit", "--quiet", "--rm", container, "base")
        shutil.rmtree(system)
        return "localhost/base"

    def build(self, base: str) -> str:
        """Build the Dockerfile on a base image."""
        mounts = [f"--volume={path}:{path}:ro" for path in OF_THIS_MACHINE if os.path.exists(path)]
        options = ["--isolation", "chroot", "--format", "docker", *mounts, "--build-arg", f"BASE_IMAGE={base}"]
        self.run("build", "--quiet", *options, "--tag", "tfo-mcp", str(PROJECT))
        return "localhost/tfo-mcp"

    @contextmanager
    def container(self, image: str) -> Iterator[str]:
        """Yield a container of the image, until the end of the block."""
        container = self.run("from", image)
        try:
            yield container
        finally:
            self.run("rm", container)

    def inside(self, container: str, command: Sequence[str], **variables: str) -> list[str]:
        """Return the command line that runs something in a container, as the image's user."""
        given = [f"--env={name}={value}" for name, value in variables.items()]
        return self.line("run", "--isolation", "chroot", *given, container, "--", *command)


def check(condition: bool, what: str) -> None:
    """Say what was seen, or stop.

    Raises:
        SystemExit: it was not seen.
    """
    print(f"{'ok  ' if condition else 'FAIL'} {what}", flush=True)
    if not condition:
        sys.exit(1)


def answers_over_stdio(images: Images, container: str) -> None:
    """Initialize over stdio."""
    line = json.dumps(request(1, "initialize", initialize_params(LATEST_HANDSHAKE))) + "\n"
    command = images.inside(container, ["tfo-mcp", "serve", "--transport", "stdio"])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(line)
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        process.stdin.close()
    check(answer["result"]["serverInfo"]["name"] == "tfo-mcp", "initialize is answered on stdio")


def is_ready_over_http(images: Images, container: str) -> None:
    """Serve HTTP, be ready, say so to the health check, and end when told."""
    port = free_port()
    places = {"TELEMETRYFLOW_MCP_SERVER_HOST": LOOPBACK, "TELEMETRYFLOW_MCP_SERVER_PORT": str(port)}
    with subprocess.Popen(images.inside(container, ["tfo-mcp", "serve"], **places)) as process:

        def ready() -> bool:
            assert process.poll() is None, "the server has ended"
            with suppress(HTTPError, OSError), urlopen(f"http://{LOOPBACK}:{port}/readyz") as answer:
                return bool(answer.status == 200)
            return False

        wait_until(ready, "GET /readyz answers 200", SLOW)
        check(True, "GET /readyz answers 200")
        healthy = subprocess.run(images.inside(container, ["tfo-mcp", "health"], **places), check=False)
        check(healthy.returncode == 0, "the health check passes")
        server = psutil.Process(process.pid).children(recursive=True)[-1]
        server.terminate()
        check(process.wait(SLOW) == 0, "SIGTERM ends it with 0")
    unhealthy = subprocess.run(images.inside(container, ["tfo-mcp", "health"], **places), check=False)
    check(unhealthy.returncode == 1, "the health check fails when there is no server")


def main() -> None:
    """Build and use the image; the folder is removed at the end, unless one is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where images are kept (default: a temporary folder)")
    folder = parser.parse_args().folder or Path(tempfile.mkdtemp(prefix="tfo-mcp-image-"))
    images = Images(folder)
    try:
        image = images.build(images.base())
        with images.container(image) as container:
            user = subprocess.run(
                images.inside(container, ["python3", "-c", "import os; print(os.getuid(), os.getgid())"]),
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            check(user.stdout.split() == ["10001", "10001"], "it runs as a user without rights")
            answers_over_stdio(images, container)
            is_ready_over_http(images, container)
        described = json.loads(images.run("inspect", "--type", "image", image))["Docker"]["config"]
        check(described["Healthcheck"]["Test"] == ["CMD", "tfo-mcp", "health"], "the health check needs no shell")
        check(described["Entrypoint"] == ["tfo-mcp"] and described["Cmd"] == ["serve"], "nor does its start")
    finally:
        images.run("rm", "--all")
        images.run("rmi", "--all", "--force")
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
