"""Network: what every network transport shares.

Authentication, host validation, proxy headers, CORS, plain HTTP responses, deadlines, drain, and the limits of
connections below them.
"""
