"""Rolling restart: servers behind nginx restart one after the other while clients call, and no call is lost."""

import pytest

from tests.e2e.rolling_restart import Outcome, run, table

SECONDS = 10.0
CLIENTS = 20


@pytest.fixture(scope="module", params=["replicas", "sticky"])
def outcome(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    directory = tmp_path_factory.mktemp("restarts")
    return run(directory, SECONDS, CLIENTS, restarts=1, shared=request.param == "replicas")


def test_no_call_fails_is_lost_or_is_done_twice(outcome: Outcome) -> None:
    assert outcome.problems() == [], table(outcome)


def test_every_process_ends_as_told_with_calls_in_flight(outcome: Outcome) -> None:
    assert [restart.exit_code for restart in outcome.restarts] == [0] * (3 if outcome.shared else 2)
    assert all(restart.in_flight for restart in outcome.restarts)
    assert not any("Traceback" in restart.said for restart in outcome.restarts)


def test_clients_of_both_eras_go_on_and_only_sessions_of_one_process_begin_again(outcome: Outcome) -> None:
    crowd = outcome.crowd
    assert crowd.stateless.answered > CLIENTS
    assert crowd.handshake.answered > CLIENTS
    if outcome.shared:
        assert crowd.handshake.sessions == CLIENTS / 2
    else:
        assert crowd.handshake.sessions > CLIENTS / 2
        assert crowd.handshake.refused, "calls of sessions that ended with their process"


def test_what_the_run_has_shown_can_be_read(outcome: Outcome) -> None:
    lines = table(outcome).splitlines()
    assert lines[0].split() == ["stateless", "handshake"]
    assert "calls done twice: 0" in lines


def test_the_ledger_knows_the_work_of_both_eras(outcome: Outcome) -> None:
    eras = {ticket.split("-")[0] for ticket in outcome.crowd.begun()}
    assert eras == {"stateless", "handshake"}
