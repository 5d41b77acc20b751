"""Builds the MCPB bundle: a zip of the manifest and the server's sources, which a host runs with uv.

The build is reproducible: names are sorted and times are fixed. The version is that of pyproject.toml.
"""

import argparse
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

PROJECT = Path(__file__).resolve().parents[2]
_SINGLE_FILES = ("LICENSE", "README.md", "pyproject.toml")
_SOURCES = ("app", "transports")
_NOT_SOURCES = frozenset({".pyc", ".pyo"})


def build(folder: Path) -> Path:
    """Write the bundle into a folder, which is created if missing, and return its path."""
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    manifest = json.loads(Path(__file__).with_name("manifest.json").read_text())
    manifest["version"] = version
    folder.mkdir(parents=True, exist_ok=True)
    bundle = folder / f"tfo-mcp-{version}.mcpb"
    with ZipFile(bundle, "w", ZIP_DEFLATED) as archive:
        _add(archive, "manifest.json", json.dumps(manifest, indent=2).encode() + b"\n")
        for path in _files():
            _add(archive, path.relative_to(PROJECT).as_posix(), path.read_bytes())
    return bundle


def _files() -> Iterator[Path]:
    yield from (PROJECT / name for name in _SINGLE_FILES)
    for folder in _SOURCES:
        found = (PROJECT / folder).rglob("*")
        yield from sorted(path for path in found if path.is_file() and path.suffix not in _NOT_SOURCES)


def _add(archive: ZipFile, name: str, content: bytes) -> None:
    entry = ZipInfo(name)  # its default time is 1980, so builds are reproducible
    entry.compress_type = ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)


def main() -> None:
    """Build the bundle into the folder given on the command line and print its path."""
    parser = argparse.ArgumentParser(description="Build the MCPB bundle.")
    parser.add_argument("--output", type=Path, default=PROJECT / "dist", help="folder (default: dist)")
    print(build(parser.parse_args().output))


if __name__ == "__main__":
    main()
