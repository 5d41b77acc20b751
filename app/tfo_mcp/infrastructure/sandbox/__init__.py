"""The sandbox: how programs that the server starts are held to the directories, the time and the resources they get.

`tiers` says what this machine offers and chooses, `policy` what a program may, `launching` starts a supervisor per
command, `reading` starts a program that may only read one directory. `supervisor` and all it uses run in a process of
their own with the standard library alone. Nothing here knows a tool.
"""
