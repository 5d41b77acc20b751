"""Own services with twelve switchable faults, each of which one `compare` is to find first."""
