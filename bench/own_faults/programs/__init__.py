"""The services of the shop: front, catalog, payment and fulfilment. Instrumentation is loaded from outside."""
