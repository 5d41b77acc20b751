"""What every adapter of a port must do: one suite per port, run over all of its adapters.

An adapter joins by one more parameter of its port's fixture in `conftest`. The suites know the ports only.
"""
