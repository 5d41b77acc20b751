from datetime import UTC, datetime

from tfo_mcp.plugins import Context, Text, TextContents, ToolHints, ToolResult, resource, tool

APPS = "io.modelcontextprotocol/ui"
VIEW = "ui://clock/view.html"
PAGE = """<!doctype html>
<title>Clock</title>
<p id="time">…</p>
<button id="again">Again</button>
<script>
  let last = 0;
  const send = (method, params) => parent.postMessage({ jsonrpc: "2.0", id: ++last, method, params }, "*");
  const show = (result) => { document.getElementById("time").textContent = result.structuredContent.time; };
  addEventListener("message", ({ data }) => {
    if (data.id === 1) parent.postMessage({ jsonrpc: "2.0", method: "ui/notifications/initialized" }, "*");
    else if (data.method === "ui/notifications/tool-result") show(data.params);
    else if (data.result?.structuredContent) show(data.result);
  });
  document.getElementById("again").onclick = () => send("tools/call", { name: "read_clock", arguments: {} });
  send("ui/initialize", {
    protocolVersion: "2026-01-26", appInfo: { name: "Clock", version: "1" }, appCapabilities: {},
  });
</script>
"""


@tool(hints=ToolHints(read_only=True), meta={"ui": {"resourceUri": VIEW}}, output_schema=dict[str, str])
async def show_clock(ctx: Context) -> ToolResult:
    """Show a clock to the user."""
    time = f"{datetime.now(UTC):%H:%M:%S}"
    shown = "The user sees a clock." if ctx.supports(APPS) else f"It is {time}, UTC."
    return ToolResult((Text(shown),), {"time": time})


@tool(hints=ToolHints(read_only=True), meta={"ui": {"resourceUri": VIEW, "visibility": ["app"]}})
async def read_clock() -> dict[str, str]:
    """Read the clock again; only the view calls this tool."""
    return {"time": f"{datetime.now(UTC):%H:%M:%S}"}


@resource(VIEW, mime_type="text/html;profile=mcp-app")
async def clock_view() -> TextContents:
    """The page that shows the clock."""
    return TextContents(VIEW, PAGE, "text/html;profile=mcp-app", meta={"ui": {"prefersBorder": True}})
