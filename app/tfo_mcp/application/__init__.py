"""The application: what can be asked of the server, and who answers.

Standard library and anyio only. Knows the domain and the ports; no wire, no transport, no driver.
"""
