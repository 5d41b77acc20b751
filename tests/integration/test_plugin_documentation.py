"""docs/plugins.md: its examples are tested files, they load, and the main example runs in the server."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tfo_mcp.plugins
from tests.support.envelopes import JsonObject, response
from tests.support.processes import PROJECT
from tests.support.stdio_client import StdioClient, stdio_client
from tfo_mcp.plugins.loader import ENTRY_POINT_GROUP

PAGE = (PROJECT / "docs" / "plugins.md").read_text(encoding="utf-8")
EXAMPLES = PROJECT / "docs" / "examples"
CONFIGURATION = EXAMPLES / "tfo-mcp.yaml"
STOCK = [
    {"sku": "TE-001", "name": "Kettle", "shelf": "shop", "quantity": 2},
    {"sku": "TE-002", "name": "Teapot", "shelf": "cellar", "quantity": 5},
]
FORMS: JsonObject = {"elicitation": {"form": {}}}


def blocks(language: str) -> list[str]:
    """Return the fenced examples of the page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a directory with a stock file."""
    (tmp_path / "stock.json").write_text(json.dumps(STOCK), encoding="utf-8")
    return tmp_path


@pytest.fixture
def client(shop: Path) -> Iterator[StdioClient]:
    with stdio_client(CONFIGURATION, directory=shop) as client:
        yield client


def call(name: str, **arguments: Any) -> JsonObject:
    """Return the params of tools/call."""
    return {"name": name, "arguments": arguments}


class TestPage:
    def test_the_entry_point_is_of_the_group_that_the_loader_reads(self) -> None:
        (source,) = blocks("toml")
        assert tomllib.loads(source)["project"]["entry-points"].keys() == {ENTRY_POINT_GROUP}

    def test_every_name_that_plugins_may_import_is_on_the_page(self) -> None:
        unmentioned = [name for name in tfo_mcp.plugins.__all__ if not re.search(rf"\b{name}\b", PAGE)]
        assert not unmentioned


class TestWorkedExample:
    def test_its_tools_are_listed_with_what_they_take_and_give(self, client: StdioClient) -> None:
        client.handshake()
        tools = {tool["name"]: tool for tool in client.call("tools/list")["result"]["tools"]}
        find = tools["find_items"]
        assert find["title"] == "Find items"
        assert find["annotations"]["readOnlyHint"] is True
        assert find["inputSchema"]["properties"].keys() == {"text", "shelf"}
        assert find["outputSchema"]["properties"]["result"]["type"] == "array"
        assert tools["take_items"]["annotations"]["destructiveHint"] is True
        assert tools["take_items"]["inputSchema"]["required"] == ["sku", "quantity"]

    def test_it_finds_items(self, client: StdioClient) -> None:
        client.handshake()
        result = client.call("tools/call", call("find_items", text="kett"))["result"]
        assert result["structuredContent"] == {"result": STOCK[:1]}
        assert json.loads(result["content"][0]["text"]) == STOCK[:1]

    def test_it_takes_items_and_tells_who_watches_the_shelf(self, client: StdioClient, shop: Path) -> None:
        client.handshake()
        client.call("resources/subscribe", {"uri": "inventory://shelves/cellar"})
        result = client.call("tools/call", call("take_items", sku="TE-002", quantity=2))["result"]
        assert result["structuredContent"]["quantity"] == 3
        assert json.loads((shop / "stock.json").read_text(encoding="utf-8"))[1]["quantity"] == 3
        notice = client.notification("notifications/resources/updated")
        assert notice["params"]["uri"] == "inventory://shelves/cellar"

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({"sku": "TE-009", "quantity": 1}, "find_items lists all items"),
            ({"sku": "TE-001", "quantity": 9}, "Only 2 of TE-001 are left"),
            ({"sku": "kettle", "quantity": 1}, "sku"),
            ({"sku": "TE-001", "quantity": 0}, "quantity"),
        ],
    )
    def test_it_says_what_to_change(self, client: StdioClient, arguments: JsonObject, said: str) -> None:
        client.handshake()
        result = client.call("tools/call", call("take_items", **arguments))["result"]
        assert result["isError"] is True
        assert said in result["content"][0]["text"]

    def test_it_asks_before_the_last_one_is_taken(self, client: StdioClient, shop: Path) -> None:
        client.handshake(capabilities=FORMS)
        identifier = client.start("tools/call", call("take_items", sku="TE-001", quantity=2))
        question = client.server_request("elicitation/create")
        assert question["params"]["message"] == "Take the last Kettle?"
        client.send(response(question["id"], {"action": "accept", "content": {"sure": True}}))
        assert client.reply(identifier)["result"]["structuredContent"]["quantity"] == 0

    def test_it_keeps_the_last_one_when_the_user_declines(self, client: StdioClient, shop: Path) -> None:
        client.handshake(capabilities=FORMS)
        identifier = client.start("tools/call", call("take_items", sku="TE-001", quantity=2))
        question = client.server_request("elicitation/create")
        client.send(response(question["id"], {"action": "decline"}))
        assert client.reply(identifier)["result"]["isError"] is True
        assert json.loads((shop / "stock.json").read_text(encoding="utf-8")) == STOCK

    def test_it_asks_by_a_retry_where_there_is_no_handshake(self, client: StdioClient, shop: Path) -> None:
        params = call("take_items", sku="TE-001", quantity=2)
        first = client.call_stateless("tools/call", params, capabilities=FORMS)["result"]
        assert first["resultType"] == "input_required"
        assert first["inputRequests"]["last"]["params"]["message"] == "Take the last Kettle?"
        answers = {"last": {"action": "accept", "content": {"sure": True}}}
        retry = {**params, "inputResponses": answers, "requestState": first["requestState"]}
        assert json.loads((shop / "stock.json").read_text(encoding="utf-8")) == STOCK
        second = client.call_stateless("tools/call", retry, capabilities=FORMS)["result"]
        assert second["structuredContent"]["quantity"] == 0

    def test_its_plain_function_reports_progress_and_logs(self, client: StdioClient) -> None:
        client.handshake()
        params = {**call("check_delivery", lines=["TE-001;4", "nonsense"]), "_meta": {"progressToken": "delivery"}}
        result = client.call("tools/call", params)["result"]
        assert result["structuredContent"]["accepted"] == 1
        reports = client.notifications("notifications/progress")
        assert [report["params"]["progress"] for report in reports] == [1, 2]
        assert client.notification("notifications/message")["params"]["logger"] == "inventory"

    def test_its_resources_are_read(self, client: StdioClient) -> None:
        client.handshake()
        (summary,) = client.call("resources/read", {"uri": "inventory://summary"})["result"]["contents"]
        assert summary["text"] == "2 kinds of items, 7 pieces"
        (shelf,) = client.call("resources/read", {"uri": "inventory://shelves/shop"})["result"]["contents"]
        assert json.loads(shelf["text"]) == STOCK[:1]

    def test_its_prompt_is_rendered_and_its_arguments_are_completed(self, client: StdioClient) -> None:
        client.handshake()
        rendered = client.call("prompts/get", {"name": "reorder", "arguments": {"supplier": "Potters"}})["result"]
        assert [message["role"] for message in rendered["messages"]] == ["user", "assistant"]
        assert rendered["messages"][0]["content"]["text"] == "Write a friendly order to Potters for: Kettle."
        for reference, argument, typed, expected in [
            ({"type": "ref/prompt", "name": "reorder"}, "tone", "f", ["formal", "friendly"]),
            ({"type": "ref/resource", "uri": "inventory://shelves/{shelf}"}, "shelf", "w", ["warehouse"]),
        ]:
            params = {"ref": reference, "argument": {"name": argument, "value": typed}}
            assert client.call("completion/complete", params)["result"]["completion"]["values"] == expected
