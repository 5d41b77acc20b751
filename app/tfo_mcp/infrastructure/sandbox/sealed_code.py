"""Seals the code of the supervisor in memory, so that no command can change the code that confines the next one.

The server reads the modules at its start. For the first command it compiles them into a sealed memory file, which
nobody can change. Each supervisor's interpreter imports them from there; only the standard library comes from disk.
Must not import the modules that it seals.
"""

import fcntl
import marshal
import os
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

_MODULES = (
    "tfo_mcp",
    "tfo_mcp.value_objects",
    "tfo_mcp.infrastructure",
    "tfo_mcp.infrastructure.linux",
    "tfo_mcp.infrastructure.linux.syscalls",
    "tfo_mcp.infrastructure.linux.capabilities",
    "tfo_mcp.infrastructure.linux.landlock",
    "tfo_mcp.infrastructure.linux.mounts",
    "tfo_mcp.infrastructure.linux.openat2",
    "tfo_mcp.infrastructure.linux.seccomp",
    "tfo_mcp.infrastructure.sandbox",
    "tfo_mcp.infrastructure.sandbox.confinement",
    "tfo_mcp.infrastructure.sandbox.covers",
    "tfo_mcp.infrastructure.sandbox.seccomp_rules",
    "tfo_mcp.infrastructure.sandbox.metadata",
    "tfo_mcp.infrastructure.sandbox.policy",
    "tfo_mcp.infrastructure.sandbox.processes",
    "tfo_mcp.infrastructure.sandbox.remove_tree",
    "tfo_mcp.infrastructure.sandbox.syscall_broker",
    "tfo_mcp.infrastructure.sandbox.supervisor",
)
_PACKAGES = frozenset(name.rpartition(".")[0] for name in _MODULES)
_BOOT = """
import marshal, os, sys
from _frozen_importlib import ModuleSpec

modules = marshal.loads(os.pread(int(sys.argv[1]), os.fstat(int(sys.argv[1])).st_size, 0))
os.close(int(sys.argv[1]))

class Sealed:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in modules:
            return ModuleSpec(name, Sealed, is_package=modules[name][0])

    @staticmethod
    def create_module(spec):
        return None

    @staticmethod
    def exec_module(module):
        exec(modules[module.__name__][1], module.__dict__)

sys.meta_path.insert(0, Sealed)
from tfo_mcp.infrastructure.sandbox.supervisor import main
main(int(sys.argv[2]))
"""


@cache
def supervisor_sources() -> Mapping[str, bytes]:
    """Return the source of each module, read at the first call, which must precede any command.

    Raises:
        OSError: a module cannot be read.
    """
    root = Path(__file__).parents[3]
    files = {name: root.joinpath(*name.split(".")) for name in _MODULES}
    loader: Any = __spec__.loader  # loads all modules of the package, from files or from an archive
    return {
        name: loader.get_data(str(file / "__init__.py") if name in _PACKAGES else str(file.with_suffix(".py")))
        for name, file in files.items()
    }


@cache
def supervisor_code() -> int:
    """Return the descriptor of the sealed code; it stays open, and is inherited only if passed explicitly.

    Raises:
        OSError: the file cannot be created.
    """
    modules = {
        name: (name in _PACKAGES, compile(source, f"<sealed {name}>", "exec", dont_inherit=True))
        for name, source in supervisor_sources().items()
    }
    return _sealed(marshal.dumps(modules))


@cache
def interpreter_program() -> str:
    """Return the path of this interpreter's program, with links resolved once."""
    return os.path.realpath(sys.executable)


def boot_line(code: int, control: int) -> list[str]:
    """Return the command line of an interpreter that runs the supervisor.

    Args:
        code: descriptor of the sealed code, which the interpreter inherits.
        control: descriptor of the socket to the server, which the interpreter inherits.
    """
    return [interpreter_program(), "-I", "-S", "-c", _BOOT, str(code), str(control)]


def _sealed(data: bytes) -> int:
    if not hasattr(os, "memfd_create"):  # not Linux, so there is no sandbox: fall back to an unnamed file
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.flush()
            return os.dup(file.fileno())
    descriptor = os.memfd_create("tfo-mcp-supervisor", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(descriptor, "wb", closefd=False) as memory:
        memory.write(data)
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor
