"""Images, audio and other binary data have the type of their contents, whatever their name says."""

import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.builtins import Builtins, builtins
from tfo_mcp.domain.content import Audio, BlobContents, EmbeddedResource, Image, Text, TextContents

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\0\0\0\0"
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xd9"
GIF = b"GIF89a\1\0\1\0\0\0\0;"


def riff(kind: bytes, chunk: bytes) -> bytes:
    """Return a RIFF file with one chunk."""
    body = kind + chunk + struct.pack("<I", 4) + b"\0\0\0\xff"
    return b"RIFF" + struct.pack("<I", len(body)) + body


def media(major: bytes, *compatible: bytes) -> bytes:
    """Return the first box of an ISO base media file."""
    brands = b"".join((major, b"\0\0\0\0", *compatible))
    return struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands + b"\0\0\0\x08mdat"


IMAGES = {
    "image/png": [PNG],
    "image/jpeg": [JPEG, b"\xff\xd8\xff\xe1\0\x10Exif\0\0", b"\xff\xd8\xff\xdb\0C\0"],
    "image/gif": [GIF, b"GIF87a\1\0\1\0\0\0\0;"],
    "image/webp": [riff(b"WEBP", chunk) for chunk in (b"VP8 ", b"VP8L", b"VP8X")],
}
OTHERS = {
    "image/bmp": [b"BM\x1e\0\0\0\0\0", b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"],
    "image/tiff": [b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II+\0\x08\0\0\0"],
    "image/x-icon": [b"\0\0\1\0\1\0\x10\x10\0\0\1\0"],
    "image/avif": [media(b"avif", b"mif1"), media(b"avis"), media(b"mif1", b"avif", b"miaf")],
    "image/heic": [media(b"heic", b"mif1"), media(b"heix"), media(b"mif1", b"heic")],
    "image/svg+xml": ['<?xml version="1.0" encoding="latin-1"?><svg>é</svg>'.encode("latin-1")],
    "image/jls": [b"\xff\xd8\xff\xf7\0\x0b"],
    "image/x-apple-png": [b"\x89PNG\r\n\x1a\n\0\0\0\x04CgBI\x50\0\x20\2"],
    "video/x-msvideo": [riff(b"AVI ", b"LIST")],
    "video/mp4": [media(b"isom", b"mp41"), media(b"mp42")],
    "application/octet-stream": [
        riff(b"WEBP", b"ABCD"), riff(b"ACON", b"anih"), b"\0\x01\x02", b"\x89PN\xff", b"\xff\xd8", b"GIF8\0",
        b"RIFF\xff", b"\xff\xfea\0\n\0x", b"\xff\xfea\0=\xd8\n\0", b"ID3 is a tag\xff", b"ID3\4\0\0\x80\0\0\0\xff",
    ],
}  # fmt: skip
SOUNDS = {
    "audio/wav": [
        riff(b"WAVE", b"fmt "), b"RF64\xff\xff\xff\xffWAVEds64", b"BW64\xff\xff\xff\xffWAVEds64"
    ],
    "audio/mpeg": [
        b"ID3\4\0\0\0\0\0\0\xff\xfb\x90\x64", b"\xff\xfb\x90\x64\0\0", b"\xff\xf3\x48\xc4\0", b"\xff\xfa\x92\x60\0"
    ],
    "audio/aac": [b"\xff\xf1\x50\x80\0\x1f\xfc", b"\xff\xf9\x50\x80\0"],
    "audio/ogg": [b"OggS\0\2\0\0\0\0\0\0\0\0OpusHead", b"OggS\0\2\0\0\0\0\0\0\0\0\x01vorbis"],
    "audio/flac": [b"fLaC\0\0\0\x22", b"ID3\4\0\0\0\0\0\0fLaC\0"],
    "audio/mp4": [media(b"M4A ", b"isom"), media(b"M4B ")],
    "audio/aiff": [b"FORM\0\0\0\x04AIFF\0", b"FORM\0\0\0\x04AIFC\0"],
}  # fmt: skip
NAMES = ("plain", "a.png", "a.jpg", "a.webp", "a.mp3", "a.txt", "a.svg", "a.3gp", "a.ra", "a.ras", "a.xbm", "a.mp4")


def every(types: dict[str, list[bytes]]) -> list[tuple[str, bytes]]:
    """Return each contents with its type."""
    return [(mime_type, data) for mime_type, examples in types.items() for data in examples]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Builtins]:
    async with builtins(tmp_path) as served:
        yield served


async def types_of(server: Builtins, name: str) -> tuple[str | None, str]:
    """Return the type of a file as a resource, and as file_info describes it."""
    return (await server.read(f"file:///{name}")).mime_type, (
        await server.call("file_info", path=name)
    ).structured["mime_type"]  # fmt: skip


@pytest.mark.parametrize(("mime_type", "data"), every(IMAGES))
async def test_an_image_that_models_accept_is_an_image_of_its_own_type(
    server: Builtins, mime_type: str, data: bytes
) -> None:
    for name in NAMES:
        (server.root / name).write_bytes(data)
        assert (await server.call("read_file", path=name)).content == (Image(data, mime_type),)
        assert await types_of(server, name) == (mime_type, mime_type)


@pytest.mark.parametrize(("mime_type", "data"), every(SOUNDS))
async def test_audio_is_audio_of_its_own_type(server: Builtins, mime_type: str, data: bytes) -> None:
    for name in NAMES:
        (server.root / name).write_bytes(data)
        assert (await server.call("read_file", path=name)).content == (Audio(data, mime_type),)
        assert await types_of(server, name) == (mime_type, mime_type)


@pytest.mark.parametrize(("mime_type", "data"), every(OTHERS))
async def test_other_binary_data_is_a_resource_of_its_own_type(server: Builtins, mime_type: str, data: bytes) -> None:
    for name in NAMES:
        (server.root / name).write_bytes(data)
        contents = BlobContents((server.root / name).as_uri(), data, mime_type)
        assert (await server.call("read_file", path=name)).content == (EmbeddedResource(contents),)
        assert await types_of(server, name) == (mime_type, mime_type)


@pytest.mark.parametrize("text", ["", "no image\n", "GIF89a", "BM", "RIFF", "ID3", "<svg/>", "%PDF-1.4"])
async def test_text_with_the_name_of_an_image_is_text(server: Builtins, text: str) -> None:
    for name in ("a.png", "a.webp", "a.mp3"):
        (server.root / name).write_text(text)
        assert (await server.call("read_file", path=name)).content == (Text(text),)
        assert await types_of(server, name) == ("text/plain", "text/plain")


async def test_a_name_tells_apart_formats_with_the_same_signature(server: Builtins) -> None:
    data = media(b"isom", b"mp42")
    (server.root / "a.m4a").write_bytes(data)
    assert (await server.call("read_file", path="a.m4a")).content == (Audio(data, "audio/mp4"),)
    (server.root / "a.zip").write_bytes(b"PK\3\4\0\0")
    assert await types_of(server, "a.zip") == ("application/zip", "application/zip")


async def test_text_with_a_byte_order_mark_is_text_as_a_resource(server: Builtins) -> None:
    for encoding in ("utf-16", "utf-32"):
        (server.root / "a.md").write_bytes("grün\n".encode(encoding))
        assert await server.read("file:///a.md") == TextContents("file:///a.md", "grün\n", "text/markdown")
        assert await types_of(server, "a.md") == ("text/markdown", "text/markdown")


@pytest.mark.parametrize("data", [b"\xff\xfea", b"\xff\xfe\0\xd8\0\0", b"\xfe\xff\0\0\0a"])
async def test_a_byte_order_mark_does_not_make_text_of_binary_data(server: Builtins, data: bytes) -> None:
    (server.root / "data").write_bytes(data)
    (block,) = (await server.call("read_file", path="data")).content
    assert isinstance(block, EmbeddedResource)
    assert isinstance(await server.read("file:///data"), BlobContents)
