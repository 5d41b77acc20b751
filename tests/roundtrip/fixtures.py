"""The files of the campaign: text fixtures of libraries for encodings, and JavaScript bundles.

Owns the packages, their download with pip and npm into a cache, and the encoding of each file, as the library states
it.
"""

import codecs
import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SOURCES = ("chardet==5.2.0", "charset-normalizer==3.5.3", "ftfy==6.3.1")
"""Source distributions that have text fixtures."""
BUNDLES = (
    "ace-builds@1.45.2", "ag-grid-enterprise@33", "@babel/standalone@7", "aws-sdk@2", "devextreme-dist@24", "echarts@5",
    "mermaid@11", "monaco-editor@0.50.0", "pdfjs-dist@4", "plotly.js-dist@2", "plotly.js-dist-min@2",
    "swagger-ui-dist@5", "three@0.170", "typescript@5",
)  # fmt: skip
"""npm packages with large JavaScript files."""
_STATED = re.compile(r'\("(sample-[^"]+)", "([^"]+)"')  # in the tests of charset-normalizer
_CJK = Path(sysconfig.get_path("stdlib")) / "test" / "cjkencodings"


@dataclass(frozen=True)
class Fixture:
    """A file; `encoding` is a Python codec, None for the default of the tools."""

    name: str
    data: bytes
    encoding: str | None


def fetch(cache: Path) -> None:
    """Download the packages that the cache does not have."""
    cache.mkdir(exist_ok=True)
    for source in SOURCES:
        if not _archive(cache, source):
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
            subprocess.run([*pip, "--dest", str(cache), source], check=True)
    for bundle in BUNDLES:
        if not _archive(cache, bundle):
            folder = cache / _key(bundle)
            folder.mkdir(exist_ok=True)
            subprocess.run(["npm", "pack", "--silent", bundle], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def fixtures(cache: Path, most: int) -> list[Fixture]:
    """Return all fixtures for encodings, and the largest JavaScript files up to this number of files in all.

    Each fixture in a stated encoding is there a second time without it.
    """
    stated = [*_chardet(cache), *_charset_normalizer(cache), *_ftfy(cache), *_interpreter()]
    unstated = [Fixture(one.name, one.data, None) for one in stated if one.encoding is not None]
    found = [*stated, *unstated]
    bundles = [fixture for bundle in BUNDLES for fixture in _scripts(cache, bundle)]
    bundles.sort(key=lambda fixture: (-len(fixture.data), fixture.name))
    return [*found, *bundles[: max(0, most - len(found))]]


def _key(package: str) -> str:
    return re.sub(r"[^\w.]+", "-", package).strip("-")


def _archive(cache: Path, package: str) -> Path | None:
    name, _, version = package.partition("==")
    patterns = [f"{_key(package)}/*.tgz", f"{name.replace('-', '_')}-{version}.tar.gz", f"{name}-{version}.tar.gz"]
    return next((path for pattern in patterns for path in cache.glob(pattern)), None)


def _members(cache: Path, package: str) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a package, named without its top directory."""
    archive = _archive(cache, package)
    assert archive is not None
    with tarfile.open(archive) as members:
        for member in members:
            if member.isfile() and (file := members.extractfile(member)) is not None:
                yield member.name.partition("/")[2], file.read()


def _chardet(cache: Path) -> Iterator[Fixture]:
    """Yield the fixtures of chardet, in directories named for the encoding and, for some, the language."""
    for name, data in _members(cache, SOURCES[0]):
        folders = name.split("/")
        if folders[0] == "tests" and len(folders) == 3:
            encoding = _codec(folders[1]) or _codec(folders[1].rpartition("-")[0])
            if encoding is not None:
                yield Fixture(f"chardet/{name}", data, encoding)


def _charset_normalizer(cache: Path) -> Iterator[Fixture]:
    members = dict(_members(cache, SOURCES[1]))
    stated = dict(_STATED.findall(members["tests/test_full_detection.py"].decode()))
    for name, encoding in stated.items():
        yield Fixture(f"charset_normalizer/{name}", members[f"data/{name}"], _codec(encoding))


def _ftfy(cache: Path) -> Iterator[Fixture]:
    for name, data in _members(cache, SOURCES[2]):
        if name.startswith("tests/"):
            yield Fixture(f"ftfy/{name}", data, None)


def _interpreter() -> Iterator[Fixture]:
    """Yield the fixtures of the interpreter's own tests, if they are installed."""
    for path in sorted(_CJK.glob("*.txt")):
        encoding = None if path.stem.endswith("-utf8") else _codec(path.stem)
        yield Fixture(f"cjkencodings/{path.name}", path.read_bytes(), encoding)


def _scripts(cache: Path, bundle: str) -> Iterator[Fixture]:
    for name, data in _members(cache, bundle):
        if name.endswith((".js", ".mjs", ".cjs")):
            yield Fixture(f"{bundle}/{name}", data, None)


def _codec(name: str) -> str | None:
    try:
        return codecs.lookup(name).name
    except LookupError:
        return None
