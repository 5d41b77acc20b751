"""Driven adapters: implement the application's ports. Each third-party driver is imported only in its own module."""
