"""The scenarios of the official conformance suite for skills, at both of its revisions, with and without directories.

A warning counts as a failure. A check may be skipped if the revision, or the server's declaration, lacks what it asks.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.suite import run_scenario
from tests.support.envelopes import LATEST_HANDSHAKE, STATELESS
from tests.support.services import Services, services

SKILLS = Path(__file__).with_name("skills")
SCENARIOS = ("sep-2640-skills-enumeration", "sep-2640-skills-manifest", "sep-2640-skills-directory")
CACHE_HINTS = {"sep-2640-skills-list-cache-attributes", "sep-2640-skills-get-cache-attributes"}


@pytest.fixture(scope="module")
def served() -> Iterator[Services]:
    with services({"skills": {"directories": [str(SKILLS)]}, "security": {"anonymous": "read"}}) as running:
        yield running


@pytest.mark.parametrize("revision", [LATEST_HANDSHAKE, STATELESS])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_check_succeeds_without_a_warning(served: Services, scenario: str, revision: str, tmp_path: Path) -> None:
    checks = run_scenario(served.processes.network.url, revision, scenario, tmp_path)
    may_be_skipped = CACHE_HINTS if revision == LATEST_HANDSHAKE else set()
    wrong = [check for check in checks if check.status != "SUCCESS" and check.id not in may_be_skipped]
    assert checks
    assert not wrong, "\n".join(["", *map(str, wrong)])
