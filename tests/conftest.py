"""What every process of the tests needs, before any test."""

import signal

signal.signal(signal.SIGINT, signal.default_int_handler)  # who started the tests in the background has it ignored
