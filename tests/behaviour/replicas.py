"""`python -m tests.behaviour.replicas`: the suites over HTTP, against three replicas as against one process.

    python -m tests.behaviour.replicas --times 10

Runs the behaviour suite over Streamable HTTP and HTTP+SSE, and the official conformance suite, against three replicas
that share a Redis and a PostgreSQL, behind nginx with plain round robin. Tests that can only be passed by one process
are left out; their marker `one_process` says why. The exit code is 1 when a test failed.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from tests.support.processes import PROJECT

REPLICAS = 3
_HERE = Path(__file__).parent


def modules() -> list[str]:
    """Return the modules whose tests talk to the servers of the suite over HTTP."""
    found = [
        path
        for path in sorted(_HERE.glob("test_*.py"))
        if "@over(" in path.read_text(encoding="utf-8") or path.name.startswith("test_streamable_http_")
    ]
    return [*map(str, found), str(PROJECT / "tests" / "conformance" / "test_official_suite.py")]


def main() -> int:
    """Run the suites with the options of the command line; other options are those of pytest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=1, help="number of runs")
    options, others = parser.parse_known_args()
    line = [sys.executable, "-m", "pytest", "-q", *others, *modules()]
    environment = {**os.environ, "TFO_TEST_REPLICAS": str(REPLICAS)}
    codes = []
    for number in range(1, options.times + 1):
        codes.append(subprocess.run(line, cwd=PROJECT, env=environment, check=False).returncode)
        print(f"run {number} of {options.times}: {'failed' if codes[-1] else 'passed'}", flush=True)
    return 1 if any(codes) else 0


if __name__ == "__main__":
    sys.exit(main())
