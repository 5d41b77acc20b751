"""Diagnosis: checks what this machine offers for files and commands, and whether the configured roots are usable.

Owns the checks and the wording of their findings. The command line displays them and checks ports. Read-only.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from typing import Literal

from tfo_mcp.domain.errors import OutOfReach
from tfo_mcp.infrastructure.config import Settings
from tfo_mcp.infrastructure.config.shapes import RootPath
from tfo_mcp.infrastructure.files.ripgrep import program
from tfo_mcp.infrastructure.files.roots import Root, open_roots
from tfo_mcp.infrastructure.linux import landlock, openat2, seccomp
from tfo_mcp.infrastructure.sandbox import tiers
from tfo_mcp.infrastructure.sandbox.cover_plan import Trees
from tfo_mcp.infrastructure.sandbox.protected import Protected
from tfo_mcp.infrastructure.sandbox.visible_paths import interpreter, system_set
from tfo_mcp.value_objects import value_object

Status = Literal["ok", "note", "broken"]


@value_object
class Finding:
    """The result of one check: `ok`, worth a `note`, or `broken` if it prevents what is configured."""

    subject: str
    status: Status
    detail: str


def sandbox_findings(settings: Settings, roots: Sequence[RootPath]) -> Iterator[Finding]:
    """Yield what the machine offers, and its consequences for commands and searches beneath these roots."""
    yield _offered(
        "openat2", openat2.available(), "available", "not available: paths are resolved component by component"
    )
    abi = landlock.abi()
    enough = abi >= landlock.LEAST_ABI
    yield _offered("Landlock", enough, f"ABI {abi}", f"ABI {abi or 'none'}: {landlock.LEAST_ABI} is needed (Linux 6.2)")
    yield _offered("seccomp", seccomp.available(), "with user notification", "without user notification")
    found = tiers.find()
    yield _offered("bubblewrap", found.bubblewrap is None, shutil.which("bwrap") or "", found.bubblewrap or "")
    wanted = settings.commands.sandbox
    tier = found.choose(wanted)
    if tier is None:
        yield Finding("commands", "broken", f"are not run (commands.sandbox: {wanted}): {found.why_not(wanted)}")
    elif tier == "none":
        yield Finding("commands", "note", "are run without a sandbox (commands.sandbox: none)")
    else:
        yield Finding("commands", "ok", f"are run in {tier} (commands.sandbox: {wanted})")
        hidden = ", ".join(
            directory for directory in _program_directories() if not _is_seen(directory, settings, roots)
        )
        if hidden:
            yield Finding("programs", "note", f"not readable by commands (commands.readable): those in {hidden}")
    yield _searches(settings, found)


def _searches(settings: Settings, found: tiers.Findings) -> Finding:
    wanted = settings.commands.sandbox
    if (ripgrep := program()) is None:
        return Finding("searches", "broken", "are not run: ripgrep is not found")
    tier = found.choose_for_reading(wanted)
    if tier is None:
        return Finding("searches", "broken", f"are not run (commands.sandbox: {wanted}): {found.why_not(wanted)}")
    if tier == "none":
        return Finding("searches", "note", f"are run without a sandbox (commands.sandbox: none), by {ripgrep}")
    return Finding("searches", "ok", f"are run in {tier} (commands.sandbox: {wanted}), by {ripgrep}")


def root_findings(settings: Settings, roots: Sequence[RootPath], protected: Protected) -> Iterator[Finding]:
    """Yield whether each root is usable, and whether the server's own files beneath it can be hidden from commands."""
    alone = [_root_finding(root, protected) for root in roots]
    yield from alone
    if any(finding.status == "broken" for finding in alone):
        return
    yield from _covered(settings, roots, protected)
    try:
        for opened in open_roots([(os.fspath(root.path), root.read_only) for root in roots]):
            os.close(opened.descriptor)
    except ValueError as problem:
        yield Finding("together", "broken", str(problem))


def _covered(settings: Settings, served: Sequence[RootPath], protected: Protected) -> Iterator[Finding]:
    """Yield which of the server's own files lie beneath the roots, if any."""
    if settings.commands.sandbox == "none":
        return
    roots = [(os.path.realpath(root.path), root.read_only) for root in served]
    trees = Trees(
        [path for path, _ in roots],
        [path for path, read_only in roots if not read_only],
        [os.path.realpath(path) for path in settings.commands.readable],
    )
    try:
        found = protected.plan(trees).settings
    except OutOfReach as problem:
        yield Finding("commands", "broken", problem.message)
        return
    if found:
        yield Finding("protected", "note", f"the server's own files beneath roots are not served: {', '.join(found)}")


def _root_finding(root: RootPath, protected: Protected) -> Finding:
    path = os.path.abspath(root.path)
    try:
        descriptor = Root.open(path, read_only=root.read_only, protected=protected).descriptor
    except ValueError as problem:
        return Finding(path, "broken", str(problem))
    os.close(descriptor)
    if not os.access(path, os.R_OK | os.X_OK):
        return Finding(path, "broken", "cannot be read by this user")
    if root.read_only:
        return Finding(path, "ok", "readable, served for reading only")
    if not os.access(path, os.W_OK):
        return Finding(path, "note", "readable, but not writable by this user")
    return Finding(path, "ok", "readable and writable")


def _offered(subject: str, is_there: bool, detail: str, otherwise: str) -> Finding:
    return Finding(subject, "ok", detail) if is_there else Finding(subject, "note", otherwise)


def _program_directories() -> list[str]:
    """Return the directories of PATH that exist, each once."""
    named = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return [directory for directory in dict.fromkeys(named) if os.path.isdir(directory)]


def _is_seen(directory: str, settings: Settings, roots: Sequence[RootPath]) -> bool:
    seen = [*system_set(), interpreter(), *map(str, settings.commands.readable)]
    seen += [os.fspath(root.path) for root in roots]
    real = os.path.realpath(directory)
    return any(os.path.commonpath([real, os.path.realpath(place)]) == os.path.realpath(place) for place in seen)
