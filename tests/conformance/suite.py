"""Runs the official conformance suite against a server and reads what it found.

Owns the suite's command line, the files that it leaves and the question which of its verdicts are problems: for us also
a warning, a check skipped without a reason known here, and a check that only informs where it should succeed; but not a
difference that the caller knows of. Knows nothing of the server but its URL.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.envelopes import LATEST_HANDSHAKE, STATELESS
from tests.support.processes import PROJECT

MODULES_VARIABLE = "CONFORMANCE_NODE_MODULES"
TIME_LIMIT = 100.0  # seconds for a whole run, which takes a few

# What a revision demands, by number; and what the suite runs beside it.
SCORED = {LATEST_HANDSHAKE: 30, STATELESS: 37}
NOT_SCORED = {
    LATEST_HANDSHAKE: frozenset({"json-schema-2020-12", "server-session-lifecycle", "server-sse-polling"}),
    STATELESS: frozenset({"json-schema-2020-12", "http-header-validation", "http-custom-header-server-validation"}),
}
# Scenarios of extensions that the server does not declare.
OUT_OF_SCOPE = "tasks-"

# Checks that may be skipped: (scenario, check) and the reason.
EXPECTED_SKIPS: Mapping[tuple[str, str], str] = {}

# Checks that merely inform when the server lacks what they look at: here they have to succeed.
DEMANDED = {
    "server-sse-polling": frozenset(
        {"server-sse-priming-event", "server-sse-retry-field", "server-sse-disconnect-resume"}
    ),
}

_STARTED = re.compile(r"^=== Running scenario: (\S+) ===$", re.MULTILINE)
_RESULTS = re.compile(r"^server-(?P<scenario>.+?)-\d{4}-\d\d-\d\dT[\d-]+Z$")


@dataclass(frozen=True)
class Check:
    """One verdict of the suite."""

    scenario: str
    id: str
    status: str
    message: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.status} {self.scenario} / {self.id}: {self.message}"


@dataclass(frozen=True)
class Difference:
    """A check that cannot succeed where the suite is run, what the suite says then, and the reason."""

    scenario: str
    check: str
    says: str
    because: str

    def explains(self, check: Check) -> bool:
        """Tell whether a verdict is the one that was to be expected."""
        return (check.scenario, check.id) == (self.scenario, self.check) and self.says in check.message


@dataclass(frozen=True)
class Run:
    """What one run of the suite at one revision found, and the differences that were to be expected."""

    revision: str
    differences: tuple[Difference, ...]
    exit_code: int
    output: str
    started: frozenset[str]
    checks: Mapping[str, tuple[Check, ...]]

    @property
    def scored(self) -> frozenset[str]:
        """The scenarios that were run and that the revision demands."""
        return frozenset(name for name in self.started - NOT_SCORED[self.revision] if not _out_of_scope(name))

    def problems(self, scenarios: Iterable[str]) -> list[str]:
        """Return a line for everything about these scenarios that is not as it should be, known differences apart."""
        return [
            str(check)
            for check in self._faults(scenarios)
            if not any(difference.explains(check) for difference in self.differences)
        ]

    def unconfirmed(self) -> list[Difference]:
        """Return the expected differences that nothing shows."""
        faults = self._faults(self.started)
        return [known for known in self.differences if not any(known.explains(check) for check in faults)]

    def _faults(self, scenarios: Iterable[str]) -> list[Check]:
        return [check for name in sorted(scenarios) for check in self._faults_of(name)]

    def _faults_of(self, name: str) -> list[Check]:
        checks = self.checks.get(name, ())
        faults = [check for check in checks if _is_fault(check)]
        unseen = DEMANDED.get(name, frozenset()) - {check.id for check in checks}
        faults += [Check(name, identifier, "MISSING", "it was not made") for identifier in sorted(unseen)]
        if not faults and not any(check.status == "SUCCESS" for check in checks):
            faults.append(Check(name, "", "MISSING", "no check succeeded"))
        return faults


def run_suite(url: str, revision: str, results: Path, differences: tuple[Difference, ...] = ()) -> Run:
    """Run the suite with the requirements of `revision` against the endpoint `url`; its files go to `results`.

    What cannot succeed there is said by `differences`.

    Raises:
        FileNotFoundError: the suite is not installed.
        subprocess.TimeoutExpired: it did not end.
    """
    done = _run(results, "--url", url, "--requirements", revision)
    output = f"{done.stdout}\n{done.stderr}"
    started = frozenset(_STARTED.findall(output))
    return Run(revision, differences, done.returncode, output, started, _read(results))


def run_scenario(url: str, revision: str, scenario: str, results: Path) -> tuple[Check, ...]:
    """Run one scenario at `revision` against the endpoint `url`, and return its verdicts.

    Raises:
        FileNotFoundError: the suite is not installed.
        subprocess.TimeoutExpired: it did not end.
    """
    _run(results, "--url", url, "--scenario", scenario, "--spec-version", revision, "--force")
    return _read(results)[scenario]


def _run(results: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    node, program = _installed()
    line = [str(node), str(program), "server", *options, "-o", str(results)]
    return subprocess.run(line, capture_output=True, text=True, timeout=TIME_LIMIT, cwd=results, check=False)


def _installed() -> tuple[Path, Path]:
    modules = Path(os.environ.get(MODULES_VARIABLE) or PROJECT / "node_modules")
    found = modules / ".bin" / "node", modules / ".bin" / "conformance"
    for file in found:
        if not file.exists():
            raise FileNotFoundError(f"{file} is missing: `make test-deps` installs the conformance suite")
    return found


def _read(results: Path) -> dict[str, tuple[Check, ...]]:
    found: dict[str, tuple[Check, ...]] = {}
    for file in sorted(results.glob("*/checks.json")):
        directory = _RESULTS.match(file.parent.name)
        if directory is None:
            raise ValueError(f"Not a directory of results: {file.parent.name}")
        scenario = directory["scenario"]
        checks = json.loads(file.read_text(encoding="utf-8"))
        found[scenario] = tuple(
            Check(scenario, check["id"], check["status"], check.get("errorMessage") or check.get("description") or "")
            for check in checks
        )
    return found


def _out_of_scope(scenario: str) -> bool:
    return scenario.startswith(OUT_OF_SCOPE)


def _is_fault(check: Check) -> bool:
    if check.status == "SKIPPED":
        return (check.scenario, check.id) not in EXPECTED_SKIPS
    if check.status == "INFO":
        return check.id in DEMANDED.get(check.scenario, ())
    return check.status != "SUCCESS"
