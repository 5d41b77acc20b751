"""Tools, a prompt and a resource that ask the client questions; code before a question may run again (idempotent)."""

from typing import Any

from tfo_mcp.plugins import (
    Context,
    Elicit,
    ElicitUrl,
    ListRoots,
    Sample,
    SyncContext,
    Text,
    ToolHints,
    prompt,
    resource,
    tool,
    user,
)

READ_ONLY = ToolHints(read_only=True)
NAME_FORM: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 2}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
}


def name_question(message: str = "What is your name?") -> Elicit:
    """Return the question for a name."""
    return Elicit(message, NAME_FORM)


@tool(hints=READ_ONLY)
async def ask_name(ctx: Context, greeting: str = "Hello") -> str:
    """Ask the user for a name."""
    answer = await ctx.ask(name_question(), key="name")
    return f"{greeting}, {answer.action}: {(answer.content or {}).get('name')}"


@tool(hints=READ_ONLY)
async def ask_other(ctx: Context, greeting: str = "Hello") -> str:
    """Ask the user the same question under the same key as another tool."""
    answer = await ctx.ask(name_question(), key="name")
    return f"{greeting}, {answer.action}: {(answer.content or {}).get('name')}"


@tool(hints=READ_ONLY)
def ask_name_in_a_thread(ctx: SyncContext) -> str:
    """Ask the user for a name, from a plain function."""
    answer = ctx.ask(name_question(), key="name")
    return f"{answer.action}: {(answer.content or {}).get('name')}"


@tool(hints=READ_ONLY)
async def ask_model(ctx: Context) -> str:
    """Ask the client's model."""
    answer = await ctx.ask(Sample([user("What is the capital of France?")], 50, system_prompt="Be brief"), key="model")
    assert isinstance(answer.content, Text)
    return f"{answer.model} says {answer.content.text}"


@tool(hints=READ_ONLY)
async def ask_roots(ctx: Context) -> str:
    """Ask for the client's directories."""
    answer = await ctx.ask(ListRoots(), key="roots")
    return ", ".join(f"{root.name}={root.uri}" for root in answer.roots)


@tool(hints=READ_ONLY)
async def ask_visit(ctx: Context) -> str:
    """Ask the user to visit a page."""
    answer = await ctx.ask(ElicitUrl("Please sign in", "https://example.com/sign-in"), key="visit")
    return f"visited: {answer.action}"


@tool(hints=READ_ONLY)
async def ask_all(ctx: Context) -> str:
    """Ask three questions at once."""
    answers = await ctx.ask_all(
        {"name": name_question(), "model": Sample([user("Say hello")], 10), "roots": ListRoots()}
    )
    return ", ".join(f"{key}={type(answer).__name__}" for key, answer in sorted(answers.items()))


@tool(hints=READ_ONLY)
async def ask_twice(ctx: Context) -> str:
    """Ask two questions, one after the other."""
    first = await ctx.ask(name_question("First?"), key="first")
    second = await ctx.ask(name_question("Second?"), key="second")
    return f"{(first.content or {}).get('name')} and {(second.content or {}).get('name')}"


@tool(hints=READ_ONLY)
async def ask_what_is_possible(ctx: Context) -> str:
    """Ask only if the client supports elicitation."""
    if not ctx.supports("elicitation"):
        return "The client can answer nothing"
    answer = await ctx.ask(name_question(), key="name")
    return answer.action


@tool(hints=READ_ONLY)
async def needs_sampling(ctx: Context) -> str:
    """Work only for clients with a model."""
    ctx.require("sampling")
    return "There is a model"


@tool(hints=READ_ONLY)
async def report_and_ask(ctx: Context) -> str:
    """Report progress and log, then ask."""
    await ctx.progress(1, total=2)
    await ctx.log("warning", "about to ask")
    answer = await ctx.ask(name_question(), key="name")
    await ctx.progress(2, total=2)
    return answer.action


@prompt()
async def personal(ctx: Context, tone: str = "kind") -> str:
    """A prompt that asks the user for a name first."""
    answer = await ctx.ask(name_question(), key="name")
    return f"Write a {tone} letter to {(answer.content or {}).get('name')}."


@resource("asking://{topic}", mime_type="text/plain")
async def asking(topic: str, ctx: Context) -> str:
    """A resource that asks the user for a name first."""
    answer = await ctx.ask(name_question(), key="name")
    return f"{topic} for {(answer.content or {}).get('name')}"
