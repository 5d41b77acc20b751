"""State between requests in Redis, shared by all replicas.

`client` sends scripts with a deadline and a breaker, `subscriber` has the one connection that receives messages,
`journal` passes messages between replicas, `replicas` announces this process to the others. `sessions`, `streams`,
`relay`, `posts`, `events` and `rates` implement the ports. The scripts in `lua` make each change atomic. The package
needs the extra `redis`, and is imported only if `state.url` names a Redis.
"""
