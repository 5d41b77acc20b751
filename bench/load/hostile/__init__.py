"""Attacks by one hostile client, and their effect on the server and on other clients.

`table` lists the kinds of attack and `campaign` runs one of them. The hostile client is a separate process; the other
clients and the measurements run in the process of the campaign.
"""
