"""The playground answers the server's questions: elicitation and sampling, in both eras."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.chromium import Conduct, keep_screenshot, open_page, violations
from tests.e2e.deployment import Era
from tests.e2e.playground_page import Playground
from tests.support.processes import PROJECT, HttpServer, http_server

CONFIG = Path(__file__).with_name("playground_plugin.yaml")
ERAS: tuple[Era, ...] = ("stateless", "handshake")

in_both_eras = pytest.mark.parametrize("era", ERAS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    variables = {"PYTHONPATH": str(PROJECT)}
    with http_server(CONFIG, directory=tmp_path_factory.mktemp("root"), variables=variables) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    conduct = Conduct()
    with open_page(browser, conduct, viewport={"width": 1440, "height": 900}) as opened:
        yield opened
        assert violations(opened) == []
    assert conduct.complaints == []


@pytest.fixture
def playground(page: Page, server: HttpServer) -> Playground:
    return Playground(page, server.origin)


def asked(playground: Playground, era: Era, tool: str, **arguments: str) -> Locator:
    """Call a tool, and return the dialog in which the server asks."""
    playground.open(era, f"#tool/{tool}")
    playground.fill(**arguments)
    playground.press("Call")
    dialog = playground.page.get_by_role("dialog", name="The server asks")
    expect(dialog).to_be_visible()
    return dialog


@in_both_eras
def test_a_form_of_the_server_is_filled_in(playground: Playground, era: Era) -> None:
    dialog = asked(playground, era, "greet")
    expect(dialog).to_contain_text("What is your name?")
    keep_screenshot(playground.page, "playground-question")
    name = dialog.get_by_role("textbox", name="name")
    expect(name).to_be_focused()
    name.fill("Ada")
    name.press("Enter")
    playground.expect_outcome("done", "^Done")
    expect(playground.outcome).to_contain_text("Hello, Ada!")
    expect(dialog).to_have_count(0)


@in_both_eras
@pytest.mark.parametrize(("button", "action"), [("Decline", "decline"), ("Cancel", "cancel"), (None, "cancel")])
def test_a_question_is_declined_or_dismissed(playground: Playground, era: Era, button: str | None, action: str) -> None:
    dialog = asked(playground, era, "greet")
    if button is None:
        playground.page.keyboard.press("Escape")
    else:
        dialog.get_by_role("button", name=button).click()
    playground.expect_outcome("done", "^Done")
    expect(playground.outcome).to_contain_text(f"No name: {action}")


@in_both_eras
def test_a_message_of_a_model_is_written_by_the_user(playground: Playground, era: Era) -> None:
    dialog = asked(playground, era, "consult", question="Which <b>way</b>?")
    expect(dialog).to_contain_text("Which <b>way</b>?")
    expect(dialog).to_contain_text("Be short.")
    dialog.get_by_role("textbox", name="text").fill("That way.")
    dialog.get_by_role("button", name="Send").click()
    playground.expect_outcome("done", "^Done")
    expect(playground.outcome).to_contain_text("a person says: That way.")


@in_both_eras
def test_a_declined_sampling_request_is_an_error(playground: Playground, era: Era) -> None:
    asked(playground, era, "consult", question="Which?").get_by_role("button", name="Decline").click()
    playground.expect_outcome(*(("error", "^Error -1") if era == "stateless" else ("failed", "^The tool reports")))
    expect(playground.outcome).to_contain_text("declined")


def test_a_question_of_another_kind_is_an_error_that_says_so(playground: Playground) -> None:
    playground.open(address="#tool/workplaces")
    playground.press("Call")
    playground.expect_outcome("error", "^Error -32021")
    expect(playground.outcome).to_contain_text("roots")


def test_a_question_ends_with_the_connection(playground: Playground) -> None:
    dialog = asked(playground, "stateless", "greet")
    playground.page.get_by_role("button", name="Reconnect").evaluate("button => button.click()")  # behind the dialog
    expect(dialog).to_have_count(0)
    playground.expect_outcome("lost", "^The page closed the connection")
