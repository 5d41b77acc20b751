"""Builds the file store and the command runner, which share the same roots, from the settings."""

from functools import partial

from tfo_mcp.bootstrap.roots import ServedRoots
from tfo_mcp.infrastructure.commands import CommandLimits, CommandRights, ConfinedCommands, Permission
from tfo_mcp.infrastructure.config import ConfigurationError, Settings
from tfo_mcp.infrastructure.files import FileLimits, RootedFiles
from tfo_mcp.infrastructure.sandbox import tiers
from tfo_mcp.infrastructure.sandbox.policy import ProgramLimits
from tfo_mcp.infrastructure.sandbox.protected import Protected
from tfo_mcp.infrastructure.sandbox.reader_process import start_reader


def files_of(settings: Settings, roots: ServedRoots, protected: Protected) -> RootedFiles:
    """Return the file store.

    Raises:
        ConfigurationError: a root cannot be used.
    """
    section = settings.files
    wanted = [(root.path, root.read_only) for root in roots.paths]
    has_none = roots.reason is not None or (roots.from_client and not wanted)
    try:
        return RootedFiles(
            None if has_none else wanted,
            FileLimits(
                section.max_read_bytes, section.max_write_bytes, section.max_entries, section.search_timeout_seconds
            ),
            partial(start_reader, settings.commands.sandbox, tiers.find),
            protected=protected,
        )
    except ValueError as problem:
        raise ConfigurationError((str(problem),)) from None


def commands_of(settings: Settings, files: RootedFiles, protected: Protected) -> ConfinedCommands:
    """Return the command runner, which has access to the roots of `files`.

    Raises:
        ConfigurationError: `commands.allow` is invalid.
    """
    section = settings.commands
    try:
        permission = Permission(shell=section.shell, allow=section.allow)
    except ValueError as problem:
        raise ConfigurationError((str(problem),)) from None
    program = ProgramLimits(
        section.max_cpu_seconds, section.max_memory_bytes, section.max_file_bytes, section.max_processes
    )
    return ConfinedCommands(
        lambda: files.descriptors,
        files.open_directory,
        CommandRights(section.sandbox, section.readable, section.environment, section.network, permission),
        CommandLimits(
            section.timeout_seconds,
            section.max_timeout_seconds,
            section.max_output_bytes,
            section.max_saved_bytes,
            program,
        ),
        protected=protected,
    )
