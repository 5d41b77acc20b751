"""System calls of Linux that the standard library does not offer: opening beneath, Landlock, seccomp, capabilities.

Standard library only, and light to import: the supervisor of a command starts with nothing but this and `sandbox`. Each
module says whether the running kernel has what it offers. Knows no policy: who may do what is decided by the callers.
"""
