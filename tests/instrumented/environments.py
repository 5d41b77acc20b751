"""The environments of the instrumented programs, beneath `.instrumented`: created once, and again for other versions.

Owns the packages and the command lines. Each program has an environment of its own, since the instrumentation pins
versions of OpenTelemetry that exclude those of the project.
"""

import json
import subprocess
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.processes import LOOPBACK, PROJECT

PLACE = PROJECT / ".instrumented"
PYTHON_PACKAGES = (
    *("asyncpg", "fastapi==0.165.0", "httpx==0.28.1", "redis==8.1.0", "uvicorn==0.54.0"),
    *("opentelemetry-distro==0.66b1", "opentelemetry-exporter-otlp-proto-http"),
    *(f"opentelemetry-instrumentation-{name}==0.66b1" for name in ("asyncpg", "fastapi", "httpx", "logging", "redis")),
)
NODE_PACKAGES: Mapping[str, str] = {
    "@opentelemetry/api": "1.10.0",
    "@opentelemetry/auto-instrumentations-node": "0.82.0",
    "express": "5.3.0",
    "pg": "8.23.1",
    "pino": "10.1.0",
    "redis": "6.3.1",
}
OUTPUTS: Mapping[str, str] = {
    **{f"OTEL_{signal}_EXPORTER": "otlp" for signal in ("TRACES", "METRICS", "LOGS")},
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_BSP_SCHEDULE_DELAY": "200",
    "OTEL_BLRP_SCHEDULE_DELAY": "200",
    "OTEL_METRIC_EXPORT_INTERVAL": "500",
}


def python_program(line: Sequence[str]) -> Sequence[str]:
    """Return the command line that runs a program of the Python environment, such as `uvicorn`, instrumented."""
    python = PLACE / "python" / "bin" / "python"
    wanted = "\n".join(PYTHON_PACKAGES)
    if _differs(PLACE / "python", wanted):
        print(f"Installing {wanted.replace(chr(10), ', ')} ...", flush=True)
        venv.create(PLACE / "python", with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PYTHON_PACKAGES], check=True)
        _note(PLACE / "python", wanted)
    return [str(python.with_name("opentelemetry-instrument")), str(python.with_name(line[0])), *line[1:]]


def web_program(directory: Path, app: str, port: int) -> Sequence[str]:
    """Return the command line that serves `MODULE:APP` of a directory on a port, instrumented."""
    return python_program(["uvicorn", "--app-dir", str(directory), "--host", LOOPBACK, "--port", str(port), app])


def node_program(source: Path) -> Sequence[str]:
    """Return the command line that runs a program with Node.js, instrumented."""
    place = PLACE / "node"
    wanted = json.dumps({"private": True, "dependencies": NODE_PACKAGES}, indent=2)
    if _differs(place, wanted):
        print(f"Installing {', '.join(f'{name} {version}' for name, version in NODE_PACKAGES.items())} ...", flush=True)
        place.mkdir(parents=True, exist_ok=True)
        (place / "package.json").write_text(wanted)
        line = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(line, cwd=place, check=True)
        _note(place, wanted)
    program = place / source.name  # beside its packages
    program.write_bytes(source.read_bytes())
    node = PROJECT / "node_modules" / ".bin" / "node"
    instrumentation = place / "node_modules" / "@opentelemetry" / "auto-instrumentations-node" / "dist"
    return [str(node), "--require", str(instrumentation / "register.cjs"), str(program)]


def _differs(place: Path, wanted: str) -> bool:
    mark = place / ".installed"
    return not mark.exists() or mark.read_text() != wanted


def _note(place: Path, wanted: str) -> None:
    (place / ".installed").write_text(wanted)
