from tfo_mcp.plugins import Context, Elicit, Sample, Text, ToolError, ToolHints, tool, user

NAME = {"type": "object", "properties": {"name": {"type": "string", "minLength": 1}}, "required": ["name"]}


@tool(hints=ToolHints(read_only=True))
async def greet(ctx: Context) -> str:
    """Ask for a name, then let the client's model write a greeting."""
    answer = await ctx.ask(Elicit("Who is to be greeted?", NAME), key="name")
    if answer.action != "accept" or answer.content is None:
        raise ToolError("Without a name there is no greeting")
    name = answer.content["name"]
    if not ctx.supports("sampling"):
        return f"Hello, {name}!"
    written = await ctx.ask(Sample([user(f"Greet {name} in one line.")], max_tokens=50), key="greeting")
    return written.content.text if isinstance(written.content, Text) else f"Hello, {name}!"
