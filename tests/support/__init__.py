"""What the tests stand on: real child processes, raw clients and a local server that speaks the Messages API.

Nothing here replaces a part of the product: it starts the built command, talks to it over real pipes and sockets, and
knows the protocol only as a client does. Nothing here imports the product.
"""
