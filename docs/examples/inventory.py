"""A stock-keeping plugin for tfo-mcp: tools, resources and a prompt for one file of items.

The file is `stock.json` in the first of `files.roots`. No state is kept in memory between calls, so any process can
serve any of them.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Literal

from pydantic import Field

from tfo_mcp.plugins import (
    Context,
    Elicit,
    PromptMessage,
    SyncContext,
    ToolError,
    ToolHints,
    Write,
    assistant,
    prompt,
    resource,
    tool,
    user,
)

STOCK = "stock.json"
SHELVES = ("cellar", "shop", "warehouse")
TONES = ("formal", "friendly", "urgent")
LOOKS = ToolHints(read_only=True, destructive=False, idempotent=True, open_world=False)
CHANGES = ToolHints(read_only=False, destructive=True, idempotent=False, open_world=False)

Sku = Annotated[str, Field(pattern=r"^[A-Z]{2}-[0-9]{3}$", description="Number of the item, such as `TE-001`.")]


@dataclass(frozen=True)
class Item:
    """An item in stock."""

    sku: str
    name: str
    shelf: str
    quantity: Annotated[int, Field(ge=0, description="Number of pieces in stock.")]


@dataclass(frozen=True)
class Delivery:
    """The result of check_delivery."""

    accepted: int
    problems: list[str]


async def load(ctx: Context) -> dict[str, Item]:
    """Return all items by their number."""
    return {entry["sku"]: Item(**entry) for entry in json.loads(await ctx.files.read(STOCK))}


async def save(ctx: Context, items: Mapping[str, Item]) -> None:
    """Write all items; the file is replaced atomically."""
    text = json.dumps([asdict(item) for item in items.values()], indent=2)
    await ctx.files.write(STOCK, text.encode(), Write())


@tool(title="Find items", hints=LOOKS)
async def find_items(
    ctx: Context,
    text: Annotated[str, Field(description="Part of the name; empty finds everything.")] = "",
    shelf: Annotated[Literal["cellar", "shop", "warehouse", "any"], Field(description="Where to look.")] = "any",
) -> list[Item]:
    """Find items in stock by name and shelf."""
    items = (await load(ctx)).values()
    return [item for item in items if text.lower() in item.name.lower() and shelf in ("any", item.shelf)]


@tool(title="Take items", hints=CHANGES)
async def take_items(sku: Sku, quantity: Annotated[int, Field(ge=1)], ctx: Context) -> Item:
    """Take items out of the stock. Taking the last one requires the user's consent."""
    items = await load(ctx)
    item = items.get(sku)
    if item is None:
        raise ToolError(f"There is no item {sku}: find_items lists all items")
    if item.quantity < quantity:
        raise ToolError(f"Only {item.quantity} of {sku} are left: take fewer")
    if item.quantity == quantity:
        form = {"type": "object", "properties": {"sure": {"type": "boolean"}}, "required": ["sure"]}
        answer = await ctx.ask(Elicit(f"Take the last {item.name}?", form), key="last")
        if not (answer.content or {}).get("sure"):
            raise ToolError("The user wants to keep the last one")
    taken = replace(item, quantity=item.quantity - quantity)
    await save(ctx, {**items, sku: taken})
    await ctx.resource_updated(f"inventory://shelves/{item.shelf}")
    return taken


@tool(title="Check a delivery", hints=LOOKS)
def check_delivery(lines: list[str], ctx: SyncContext) -> Delivery:
    """Check the lines of a delivery note, each `number;quantity`. A plain function: it runs in a worker thread."""
    problems = []
    for count, line in enumerate(lines, start=1):
        if ctx.cancelled:
            raise ToolError("Nobody waits for this any more")
        _, separator, quantity = line.partition(";")
        if not separator or not quantity.strip().isdecimal():
            problems.append(f"line {count}: expected number;quantity, got {line!r}")
        ctx.progress(count, total=len(lines), message=f"line {count}")
    if problems:
        ctx.log("warning", {"problems": len(problems)}, logger="inventory")
    return Delivery(accepted=len(lines) - len(problems), problems=problems)


def shelves_beginning_with(typed: str, others: Mapping[str, str]) -> Iterable[str]:
    """Suggest shelves."""
    return [shelf for shelf in SHELVES if shelf.startswith(typed)]


async def tones_beginning_with(typed: str, others: Mapping[str, str]) -> Iterable[str]:
    """Suggest tones."""
    return [tone for tone in TONES if tone.startswith(typed)]


@resource("inventory://summary", title="Summary of the stock", mime_type="text/plain")
async def summary(ctx: Context) -> str:
    """The number of items in stock."""
    items = (await load(ctx)).values()
    return f"{len(items)} kinds of items, {sum(item.quantity for item in items)} pieces"


@resource("inventory://shelves/{shelf}", title="A shelf", complete={"shelf": shelves_beginning_with})
async def shelf_contents(shelf: str, ctx: Context) -> list[dict[str, object]]:
    """The items on one shelf, as JSON."""
    return [asdict(item) for item in (await load(ctx)).values() if item.shelf == shelf]


@prompt(title="Write an order", complete={"tone": tones_beginning_with})
async def reorder(
    supplier: Annotated[str, Field(description="Name of the supplier.")],
    ctx: Context,
    tone: Annotated[str, Field(description="Tone of the order.")] = "friendly",
) -> list[PromptMessage]:
    """Write an order for items that are running out."""
    short = [item.name for item in (await load(ctx)).values() if item.quantity < 3]
    return [
        user(f"Write a {tone} order to {supplier} for: {', '.join(short) or 'nothing'}."),
        assistant("How many of each?"),
    ]
