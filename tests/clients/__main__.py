"""Lists and calls with agent frameworks, over HTTP with a key and over stdio; exits with 1 if one fails.

Each framework runs in an environment of its own beneath `.clients`, which is created once: the versions of their
dependencies exclude each other. Started by `make clients`.
"""

import json
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.processes import PROJECT, command, environment, http_server

PROGRAMS = Path(__file__).with_name("programs")
ENVIRONMENTS = PROJECT / ".clients"
REQUIREMENTS: Mapping[str, list[str]] = {
    "fastmcp": ["fastmcp-slim[client]==4.2.3"],
    "langchain": ["langchain-mcp-adapters==0.3.1", "mcp<2"],
    "openai_agents": ["openai-agents==0.24.0"],
    "pydantic_ai": ["pydantic-ai-slim[mcp]==2.68.0"],
}
MESSAGE = "hello, wörld"
SCOPES = ("tools:read", "tools:write")
SECONDS = 60.0


def interpreter_of(framework: str) -> Path:
    """Return the Python of a framework's environment, which is created if it is missing."""
    place = ENVIRONMENTS / framework
    python, mark = place / "bin" / "python", place / ".installed"
    wanted = "\n".join(REQUIREMENTS[framework])
    if not mark.exists() or mark.read_text() != wanted:
        print(f"Installing {wanted.replace(chr(10), ', ')} ...", flush=True)
        venv.create(place, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS[framework]], check=True)
        mark.write_text(wanted)
    return python


def problem_of(framework: str, order: Mapping[str, Any]) -> str | None:
    """Run a framework's program and return what is wrong with its outcome, None if nothing is."""
    line: list[str | Path] = [interpreter_of(framework), PROGRAMS / f"{framework}_client.py", json.dumps(order)]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=SECONDS, check=False, env=environment())
    if ended.returncode != 0:
        return ended.stderr.strip().splitlines()[-1]
    seen: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    if seen["text"] != MESSAGE:
        return f"the result was {seen['text']!r}"
    missing = {"echo", "read_file", "write_file"} - set(seen["tools"])
    return f"not listed: {', '.join(sorted(missing))}" if missing else None


def main() -> int:
    """Run every framework over both transports, and return the exit code."""
    with TemporaryDirectory(prefix="tfo-mcp-clients-") as folder:
        place = Path(folder)
        (place / "root").mkdir()
        variables = {
            "XDG_STATE_HOME": str(place / "state"),
            "TELEMETRYFLOW_MCP_FILES_ROOTS": json.dumps([str(place / "root")]),
        }
        create = [*command(), "keys", "create", "--name", "clients", *(f"--scope={scope}" for scope in SCOPES)]
        made = subprocess.run(create, env=environment(variables), cwd=place, check=True, capture_output=True, text=True)
        program, *arguments = command()
        common = {
            "headers": {"Authorization": f"Bearer {made.stdout.splitlines()[-1]}"},
            "command": program,
            "args": [*arguments, "serve", "--transport", "stdio"],
            "env": environment(variables),
            "message": MESSAGE,
        }
        failures = 0
        with http_server(directory=place, variables=variables) as server:
            for framework in REQUIREMENTS:
                for transport in ("http", "stdio"):
                    problem = problem_of(framework, {**common, "transport": transport, "url": server.url})
                    failures += problem is not None
                    print(f"{framework:<14} {transport:<6} {problem or 'ok'}", flush=True)
    print(f"{2 * len(REQUIREMENTS) - failures} passed, {failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
