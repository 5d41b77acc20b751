"""Evaluates the telemetry tools on a recorded day of real faults: load, size, and questions with known answers."""
