"""The official conformance suite passes at both of its revisions, against the built command over HTTP.

One server process and one run of the suite for each revision; every test looks at one side of what was found. A warning
counts as a failure. The scenarios of the tasks extension, which the server does not declare, are left out.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.suite import NOT_SCORED, SCORED, Run, run_suite
from tests.support.processes import http_server

CONFIGURATION = Path(__file__).with_name("tfo-mcp.yaml")


@pytest.fixture(scope="module", params=SCORED)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Run the suite once for each revision."""
    with http_server(CONFIGURATION) as server:
        yield run_suite(server.url, request.param, tmp_path_factory.mktemp("conformance"))


def test_every_scored_scenario_is_run(run: Run) -> None:
    assert len(run.scored) == SCORED[run.revision], run.output


def test_every_check_of_the_scored_scenarios_succeeds_without_a_warning(run: Run) -> None:
    problems = run.problems(run.scored)
    assert not problems, "\n".join(["", *problems])


def test_the_scenarios_in_scope_that_are_not_scored_succeed_as_well(run: Run) -> None:
    problems = run.problems(NOT_SCORED[run.revision])
    assert not problems, "\n".join(["", *problems])


def test_the_suite_itself_calls_the_server_conformant(run: Run) -> None:
    assert run.exit_code == 0, run.output
