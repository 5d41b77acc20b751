"""Delivery of events to webhooks over HTTP.

`addresses` keeps requests away from the operator's own network, `sender` signs and posts. The package is imported only
if `events.webhooks` names a URL.
"""
