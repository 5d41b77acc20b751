"""MIME types of files: of images, audio and some other binary data by their contents, of the rest by their name.

Owns the signatures of the formats, and which images a language model accepts. A name decides only between types that
fit the contents: a type that has a signature is never taken from the name.
"""

import mimetypes
import struct
from functools import cache

from tfo_mcp.plugins import text_of

IMAGE_BLOCK_TYPES = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})
"""The images that language models accept. Any other one makes each later request of the conversation fail."""
BEGINNING_BYTES = 4096
"""The bytes of a file that its type is recognized by."""
_TEXT_TYPES = frozenset(
    {"application/javascript", "application/json", "application/sql", "application/toml", "application/xml"}
    | {"application/x-sh", "application/yaml", "image/svg+xml"}
)
_NEWER_TYPES = {  # missing in some of the supported Python versions
    ".m4a": "audio/mp4",
    ".md": "text/markdown",
    ".toml": "application/toml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
_PLAIN = "text/plain"
_BINARY = "application/octet-stream"
_SVG = "image/svg+xml"
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"II+\0", "image/tiff"),
    (b"MM\0+", "image/tiff"),
    (b"8BPS\0", "image/vnd.adobe.photoshop"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "image/jp2"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
    (b"\xff\x0a", "image/jxl"),
    (b"fLaC", "audio/flac"),
    (b"#!AMR", "audio/amr"),
    (b"MThd\0\0\0\x06", "audio/midi"),
    (b".snd\0", "audio/basic"),
    (b"%PDF-", "application/pdf"),
    (b"\x1f\x8b\x08", "application/gzip"),
)
_RIFF_TYPES = {b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_WEBP_CHUNKS = (b"VP8 ", b"VP8L", b"VP8X")
_BRANDS = {  # of the ISO base media file format
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "image/heic"),
    **dict.fromkeys((b"mif1", b"msf1"), "image/heif"),
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B "), "audio/mp4"),
    b"qt  ": "video/quicktime",
}
_VIDEO = "video/mp4"
_BY_CONTENTS = frozenset(
    {"image/webp", "image/bmp", "image/x-icon", "image/vnd.microsoft.icon", _VIDEO, "video/ogg", _SVG}
    | {"audio/mpeg", "audio/aac", "audio/ogg", "audio/opus", "audio/aiff", "audio/x-aiff", "audio/x-wav"}
    | {mime_type for _, mime_type in _SIGNATURES}
    | {*_RIFF_TYPES.values(), *_BRANDS.values()}
)


def text_type(path: str) -> str:
    """Return the MIME type of a text file; text/plain if the name suggests none or a binary type."""
    guess = _guess(path)
    return guess if guess is not None and _is_text(guess) else _PLAIN


def binary_type(data: bytes, path: str) -> str:
    """Return the MIME type of a binary file; application/octet-stream if neither contents nor name show one.

    Args:
        data: the contents of the file, or its first `BEGINNING_BYTES`.
        path: path or URI of the file.
    """
    guess = _guess(path)
    found = _recognized(data)
    if found == _VIDEO and guess == "audio/mp4":
        return guess  # both have the same signature
    if found is not None:
        return found
    return _BINARY if guess is None or _is_text(guess) or guess in _BY_CONTENTS else guess


def type_of(beginning: bytes, path: str) -> str:
    """Return the MIME type of a file with these first bytes, at most `BEGINNING_BYTES`."""
    is_text = text_of(beginning, is_whole=len(beginning) < BEGINNING_BYTES) is not None
    return text_type(path) if is_text else binary_type(beginning, path)


def _recognized(data: bytes) -> str | None:
    for signature, mime_type in _SIGNATURES:
        if data.startswith(signature) and len(data) > len(signature):
            return mime_type
    for recognize in (_riff, _iso_media, _bitmap, _ogg, _audio_frames, _aiff, _svg):
        if (found := recognize(data)) is not None:
            return found
    return None


def _riff(data: bytes) -> str | None:
    if not data.startswith(b"RIFF"):
        return None
    if data[8:12] == b"WEBP":
        return "image/webp" if data[12:16] in _WEBP_CHUNKS else None
    return _RIFF_TYPES.get(data[8:12])


def _iso_media(data: bytes) -> str | None:
    if data[4:8] != b"ftyp":
        return None
    size = min(int.from_bytes(data[:4], "big"), len(data))
    major = data[8:12]
    brands = [major, *(data[at : at + 4] for at in range(16, size, 4))]
    if major in _BRANDS and major not in (b"mif1", b"msf1"):
        return _BRANDS[major]
    if major[:2] == b"3g":
        return "video/3gpp"
    images = [_BRANDS[brand] for brand in brands if _BRANDS.get(brand, "").startswith("image/")]
    return next((one for one in images if one != "image/heif"), images[0]) if images else _VIDEO


def _bitmap(data: bytes) -> str | None:
    """Recognize Windows bitmaps by their zero bytes, and icons by those and the number of images."""
    if data.startswith(b"BM") and len(data) > len(b"BM") and not any(data[6:10]):
        return "image/bmp"
    if data.startswith((b"\0\0\1\0", b"\0\0\2\0")) and any(data[4:6]) and data[9:10] in (b"\0", b""):
        return "image/x-icon"
    return None


def _ogg(data: bytes) -> str | None:
    if not data.startswith(b"OggS\0"):
        return None
    return "video/ogg" if b"\x80theora" in data[:256] else "audio/ogg"


def _audio_frames(data: bytes) -> str | None:
    """Recognize MP3 and AAC by the tag or the header of the first frame."""
    if data.startswith(b"ID3") and len(data) >= 10:
        sizes = data[6:10]
        tag = 10 + sum((size & 0x7F) << shift for size, shift in zip(sizes, (21, 14, 7, 0), strict=True))
        if data[tag : tag + 4] == b"fLaC":
            return "audio/flac"
        return _frame(data[tag : tag + 4]) or "audio/mpeg"
    return _frame(data[:4])


def _frame(header: bytes) -> str | None:
    if len(header) < 4:
        return None
    sync, rates = struct.unpack(">HBx", header)
    if sync & 0xFFF6 == 0xFFF0:  # ADTS
        return "audio/aac" if (rates >> 2) & 0xF < 13 else None
    version, layer = (sync >> 3) & 3, (sync >> 1) & 3
    is_frame = sync & 0xFFE0 == 0xFFE0 and version != 1 and layer != 0
    return "audio/mpeg" if is_frame and rates >> 4 not in (0, 15) and (rates >> 2) & 3 != 3 else None


def _aiff(data: bytes) -> str | None:
    return "audio/aiff" if data.startswith(b"FORM") and data[8:12] in (b"AIFF", b"AIFC") else None


def _svg(data: bytes) -> str | None:
    """Recognize SVG that is not text in UTF-8."""
    start = data[:BEGINNING_BYTES].lstrip()
    return _SVG if start.startswith(b"<") and b"<svg" in start and b"\0" not in start else None


def _guess(path: str) -> str | None:
    return _types().guess_type(path)[0]


@cache
def _types() -> mimetypes.MimeTypes:
    """Return Python's built-in table. The system's tables are not read, as results would differ between machines."""
    types = mimetypes.MimeTypes()
    for ending, mime_type in _NEWER_TYPES.items():
        types.add_type(mime_type, ending)
    return types


def _is_text(mime_type: str) -> bool:
    return mime_type.startswith("text/") or mime_type in _TEXT_TYPES
