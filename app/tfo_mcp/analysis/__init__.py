"""Analysis of telemetry: the languages of arguments, trees of traces, patterns of logs, and budgets of answers.

Pure functions over the records of the telemetry port: no I/O, no third party, the same for every store. The telemetry
tools stand above; no store, protocol or transport is known here.
"""
