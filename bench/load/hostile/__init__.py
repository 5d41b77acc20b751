"""One hostile client: what it can do to the server, and what other clients notice of it.

`table` lists the kinds of attack and `campaign` runs one of them. The hostile client is a process of its own; the
clients beside it and the measurements are in the process of the campaign.
"""
