"""`python -m transports.cli` is `tfo-mcp`."""

from transports.cli.main import main

if __name__ == "__main__":
    main()
