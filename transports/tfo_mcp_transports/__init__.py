"""The outside: driving adapters that carry frames, and the entry points that start them."""
