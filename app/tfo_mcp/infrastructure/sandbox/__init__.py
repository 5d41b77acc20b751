"""The sandbox: confines programs that the server starts to their directories, resources and system calls.

`tiers` detects what this machine offers and selects a tier, `policy` describes what a program may do, `launcher` starts
a supervisor for each command, `reader_process` starts a program that may only read one directory. `supervisor` and the
modules that it imports run in a separate process and use only the standard library. Must not know tools.
"""
