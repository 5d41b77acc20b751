from tfo_mcp.plugins import BlobContents, TextContents, resource


@resource("notes://motd", mime_type="text/markdown")
async def message_of_the_day() -> str:
    """The message of the day."""
    return "# Welcome"


@resource("notes://pages/{number}")
async def page(number: int) -> list[TextContents | BlobContents]:
    """One page of the notes: its text and its picture."""
    uri = f"notes://pages/{number}"
    return [
        TextContents(uri=uri, text=f"Page {number}", mime_type="text/plain"),
        BlobContents(uri=f"{uri}/picture", data=b"GIF89a", mime_type="image/gif"),
    ]
