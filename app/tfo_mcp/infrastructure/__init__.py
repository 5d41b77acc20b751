"""Driven adapters: what the application needs from outside, each driver imported inside its own module."""
