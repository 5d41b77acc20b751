"""Capabilities: drops privileges of root in the calling process and its future children.

(kernel: include/uapi/linux/capability.h, capabilities(7).)
"""

import ctypes
import struct
from collections.abc import Collection
from contextlib import suppress

from tfo_mcp.infrastructure.linux.syscalls import _libc, prctl

CHOWN, DAC_OVERRIDE, FOWNER = 0, 1, 3

_HIGHEST = 63
_PR_CAPBSET_DROP, _PR_CAP_AMBIENT, _AMBIENT_CLEAR = 24, 47, 4
_VERSION_3 = 0x20080522


def keep_only(kept: Collection[int]) -> None:
    """Drop all capabilities except these; a process without capabilities is unchanged.

    Raises:
        OSError: the kernel refused to drop them.
    """
    for capability in range(_HIGHEST + 1):
        if capability not in kept:
            with suppress(OSError):  # unknown to the kernel, or not droppable: then it cannot be gained either
                prctl(_PR_CAPBSET_DROP, capability)
    with suppress(OSError):
        prctl(_PR_CAP_AMBIENT, _AMBIENT_CLEAR)
    header = ctypes.create_string_buffer(struct.pack("<Ii", _VERSION_3, 0))
    present = ctypes.create_string_buffer(24)
    _libc().capget(header, present)
    effective, permitted, _, high_effective, high_permitted, _ = struct.unpack("<6I", present.raw)
    mask = sum(1 << capability for capability in kept)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    wanted = struct.pack("<6I", effective & low, permitted & low, 0, high_effective & high, high_permitted & high, 0)
    if _libc().capset(header, ctypes.create_string_buffer(wanted)) < 0:
        raise OSError(ctypes.get_errno(), "capset")
