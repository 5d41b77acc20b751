"""Programs that run in the environments of the frameworks: each lists the tools and calls `echo` once."""
