"""Recognizes images, audio and some other binary data by their contents, and says which images models accept.

Owns the signatures of the formats. Knows no file and no name.
"""

import struct

IMAGE_BLOCK_TYPES = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})
"""The images that language models accept. Any other one makes each later request of the conversation fail."""

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n\0\0\0\x04CgBI", "image/x-apple-png"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff\xf7", "image/jls"),
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
_SVG = "image/svg+xml"
_SVG_BYTES = 4096
_BYTE_ORDER_MARK = b"\xff\xfe"  # of UTF-16, and the header of a frame in a format that nobody uses


def recognized_type(data: bytes) -> str | None:
    """Return the MIME type that the first bytes of binary data show, None if they show none.

    Files of MP4 with audio only may be recognized as video: both have the same signature.
    """
    for signature, mime_type in _SIGNATURES:
        if data.startswith(signature) and len(data) > len(signature):
            return mime_type
    for recognize in (_riff, _iso_media, _bitmap, _ogg, _audio_frames, _aiff, _svg):
        if (found := recognize(data)) is not None:
            return found
    return None


def _riff(data: bytes) -> str | None:
    if not data.startswith((b"RIFF", b"RF64", b"BW64")):
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
    if data.startswith(_BYTE_ORDER_MARK):
        return None
    sizes = data[6:10]
    if data.startswith(b"ID3") and len(data) >= 10 and 2 <= data[3] <= 4 and max(sizes) < 0x80:
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
    start = data[:_SVG_BYTES].lstrip()
    return _SVG if start.startswith(b"<") and b"<svg" in start and b"\0" not in start else None
