"""The limit of open files: raised for the configured connections, or the connections reduced to fit.

Without free file descriptors a server can accept no connection, read no file and start no command.
"""

import resource

import structlog

_OWN_DESCRIPTORS = 256  # for files, commands, databases and logs
_log = structlog.get_logger("tfo_mcp.network")


def descriptors_for(connections: int, extra: int) -> int:
    """Raise the limit of open files as far as needed and allowed; return the number of connections that fit.

    Args:
        connections: the configured maximum.
        extra: number of further connections that can be open for a short time.
    """
    needed = connections + extra + _OWN_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed == needed:
        return connections
    possible = max(allowed - extra - _OWN_DESCRIPTORS, allowed // 4, 1)
    _log.warning(
        "fewer connections than configured: the limit of open files is too low",
        max_connections=possible,
        wanted=connections,
        open_files=hard,
    )
    return min(connections, possible)
