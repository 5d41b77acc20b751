"""The official conformance suite at both of its revisions, over every transport, against the built command.

The suite runs once per transport, and each test checks one aspect of the results. A warning counts as a failure.
`transports` lists the checks that cannot pass on a transport: these must fail as listed, and no others may fail. The
scenarios of the tasks extension, which the server does not declare, are left out.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.suite import NOT_SCORED, SCORED, Run, run_suite
from tests.conformance.transports import TRANSPORTS, Transport
from tests.support.services import Services, services

CONFIGURATION = Path(__file__).with_name("tfo-mcp.yaml")


@pytest.fixture(scope="module")
def fixture_served() -> Iterator[Services]:
    """Serve the fixture on every transport; the network transports share one process."""
    with services(CONFIGURATION) as serving:
        yield serving


@pytest.fixture(scope="module", params=TRANSPORTS, ids=str)
def run(request: pytest.FixtureRequest, fixture_served: Services, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run the suite once over each transport."""
    transport: Transport = request.param
    with transport.open(fixture_served) as url:
        return run_suite(url, transport.requirements, tmp_path_factory.mktemp("conformance"), transport.differences)


def test_every_scored_scenario_is_run(run: Run) -> None:
    assert len(run.scored) == SCORED[run.revision], run.output


def test_every_check_of_the_scored_scenarios_that_the_transport_can_show_succeeds_without_a_warning(run: Run) -> None:
    problems = run.problems(run.scored)
    assert not problems, "\n".join(["", *problems])


def test_the_scenarios_in_scope_that_are_not_scored_succeed_as_well(run: Run) -> None:
    problems = run.problems(NOT_SCORED[run.revision])
    assert not problems, "\n".join(["", *problems])


def test_what_the_transport_cannot_show_fails_as_it_is_listed(run: Run) -> None:
    assert run.unconfirmed() == []


def test_the_suite_itself_calls_the_server_conformant_where_the_transport_can_show_all_that_is_scored(run: Run) -> None:
    not_shown = run.scored & {difference.scenario for difference in run.differences}
    assert (run.exit_code == 0) == (not not_shown), run.output
