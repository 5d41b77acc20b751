"""Linux system calls that the standard library lacks: openat2, Landlock, seccomp, mounts, capabilities.

Standard library only and light to import, because the supervisor of a command imports only this package and `sandbox`.
The modules detect whether the running kernel supports their calls. Must not know policies: the callers decide them.
"""
