"""The contract of the ConversationStore, over every adapter."""

import asyncio
from dataclasses import replace

import pytest

from tests.contracts.conftest import MOST_CONVERSATIONS, ConversationStores
from tfo_mcp.application.ports import ConversationSummary
from tfo_mcp.domain.content import Image, Text
from tfo_mcp.domain.conversation import Conversation, ConversationLimits, ModelSettings
from tfo_mcp.domain.errors import Conflict
from tfo_mcp.domain.ids import ConversationId
from tfo_mcp.domain.token_usage import TokenUsage

pytestmark = pytest.mark.anyio
LIMITS = ConversationLimits(100, 1000, 10_000)


def begun(owner: str = "key:alice", text: str = "Hi \0 \N{SNOWMAN}") -> Conversation:
    conversation = Conversation.begin(owner, ModelSettings("claude", 100, "Be brief"), 12.5)
    conversation.begin_turn([Text(text), Image(b"\x00\xff", "image/png")], LIMITS, 12.5)
    conversation.add_reply([Text("Hello")], TokenUsage(3, 2, 1, 0, None))
    return conversation


async def test_a_conversation_is_read_as_it_was_stored_by_every_replica(conversations: ConversationStores) -> None:
    here, there = conversations.stores
    conversation = begun()
    await here.put(conversation)
    for store in (here, there):
        found = await store.get(conversation.id)
        assert found == conversation
        assert found is not conversation
        assert found.edition == 1
    assert await there.get(ConversationId("unknown")) is None


async def test_a_change_of_a_copy_counts_only_when_it_is_stored(conversations: ConversationStores) -> None:
    here, there = conversations.stores
    conversation = begun()
    await here.put(conversation)
    changed = await there.get(conversation.id)
    assert changed is not None
    changed.end_turn()
    assert await here.get(conversation.id) == conversation
    await there.put(changed)
    assert await here.get(conversation.id) == changed


async def test_of_concurrent_changes_one_wins(conversations: ConversationStores) -> None:
    here, there = conversations.stores
    conversation = begun()
    await here.put(conversation)
    loaded = [await store.get(conversation.id) for store in (here, there, here)]
    stores = zip((here, there, here), loaded, strict=True)
    outcomes = await asyncio.gather(
        *(store.put(each) for store, each in stores if each is not None), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict", "Conflict", "NoneType"]


async def test_a_deleted_conversation_is_not_stored_again(conversations: ConversationStores) -> None:
    here, there = conversations.stores
    conversation = begun()
    await here.put(conversation)
    await there.delete(conversation.id)
    await there.delete(conversation.id)
    with pytest.raises(Conflict):
        await here.put(conversation)
    assert await here.get(conversation.id) is None


async def test_a_new_conversation_does_not_replace_an_old_one(conversations: ConversationStores) -> None:
    here, there = conversations.stores
    conversation = begun()
    await here.put(conversation)
    with pytest.raises(Conflict):
        await there.put(replace(begun("key:mallory"), id=conversation.id, edition=0))
    assert await here.get(conversation.id) == conversation


async def test_an_owner_gets_its_own_latest_used_first(conversations: ConversationStores) -> None:
    here, there = conversations.stores
    first, second, foreign = begun(text="First"), begun(text="Second"), begun("key:bob")
    for conversation in (first, second, foreign):
        await here.put(conversation)
    await there.put(first)
    found = await there.list("key:alice", 10)
    assert found == [ConversationSummary.of(first), ConversationSummary.of(second)]
    assert [each.title for each in await here.list("key:alice", 1)] == ["First"]
    assert await here.list("key:nobody", 10) == []


async def test_the_longest_unused_gives_way_at_the_limit_of_an_owner(conversations: ConversationStores) -> None:
    here, _ = conversations.stores
    foreign, *own = [begun("key:bob"), *(begun() for _ in range(MOST_CONVERSATIONS + 1))]
    for conversation in (foreign, *own):
        await here.put(conversation)
    assert await here.get(own[0].id) is None
    assert {each.id for each in await here.list("key:alice", 100)} == {each.id for each in own[1:]}
    assert await here.get(foreign.id) == foreign


async def test_an_expired_conversation_is_gone(conversations: ConversationStores) -> None:
    here, there = conversations.stores
    conversation = begun()
    await here.put(conversation)
    await conversations.grow_old()
    assert await there.get(conversation.id) is None
    assert await there.list("key:alice", 10) == []
    with pytest.raises(Conflict):
        await here.put(conversation)
