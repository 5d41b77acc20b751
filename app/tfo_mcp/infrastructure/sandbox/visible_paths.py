"""The system paths that a confined program can read in addition to the roots, and bubblewrap's command line.

The system set has the files that programs need to run and that are not secret: nothing from home directories, and from
/etc only the files that libraries look up.
"""

import glob
import os
import shutil
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tfo_mcp.infrastructure.sandbox.policy import VisiblePath

_PROGRAMS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store")
_KERNEL = ("/proc", "/sys/devices/system", "/sys/fs/cgroup")
_CONFIGURATION = (
    "alternatives", "bash.bashrc", "ca-certificates", "ca-certificates.conf", "crypto-policies", "debian_version",
    "environment.d", "fonts", "gai.conf", "gitconfig", "group", "host.conf", "hosts", "inputrc", "java*",
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "lsb-release", "magic", "mime.types", "nanorc",
    "nsswitch.conf", "os-release", "passwd", "perl", "pki/ca-trust", "pki/java", "pki/tls/cert.pem", "pki/tls/certs",
    "profile", "profile.d", "protocols", "python*", "resolv.conf", "services", "shells", "ssl/cert.pem", "ssl/certs",
    "ssl/openssl.cnf", "terminfo", "timezone", "vimrc", "wgetrc", "xattr.conf",
)  # fmt: skip
_RESOLVERS = ("/run/systemd/resolve", "/run/resolvconf")


@cache
def system_set() -> tuple[str, ...]:
    """Return the existing paths that every confined program may read."""
    etc = [path for name in _CONFIGURATION for path in glob.glob(f"/etc/{name}")]
    return tuple(path for path in (*_PROGRAMS, *_KERNEL, *etc, *_RESOLVERS) if os.path.exists(path))


@cache
def interpreter() -> str:
    """Return the directory of this interpreter and its library."""
    return os.path.realpath(sys.base_prefix)


@cache
def system_places() -> tuple[VisiblePath, ...]:
    """Return the paths that every command may read: the system set, and this interpreter."""
    return tuple(VisiblePath(path) for path in (*system_set(), interpreter()))


@cache
def bubblewrap_program() -> str:
    """Return the path of bubblewrap, or its name if it is not found; cached."""
    return shutil.which("bwrap") or "bwrap"


def bubblewrap_line(
    program: str, writable: Sequence[VisiblePath], readable: Sequence[VisiblePath], *, network: bool
) -> list[str]:
    """Return bubblewrap's command line, to which the confined program's command line is appended.

    In addition to the given places, the namespace contains the system places, /tmp, /dev and /proc.
    """
    line = [program, "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--as-pid-1"]
    line += [] if network else ["--unshare-net"]
    line += ["--tmpfs", "/tmp"]  # noqa: S108 - a path inside the namespace
    bindings = [("--ro-bind-try", place) for place in (*system_places(), *readable)]
    bindings += [("--bind", place) for place in writable]
    for option, place in sorted(bindings, key=lambda binding: len(Path(binding[1].path).parts)):
        if not place.path.startswith("/proc"):
            source = place.path if place.descriptor is None else f"/proc/self/fd/{place.descriptor}"
            line += [option, source, place.path]
    return [*line, "--dev", "/dev", "--proc", "/proc", "--"]
