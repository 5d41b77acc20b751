"""Identity: API keys, access tokens, signed state and the audit log.

`key_file` stores API keys, `private_files` reads and writes files that only their owner may read. `jwt_verifier` checks
access tokens in the form of signed JWTs (RFC 9068): `jwt_claims` parses them, `issuer_keys` fetches public keys (RFC
7517), `signature_limiter` bounds the processor time of signature checks. `sealer` signs state that clients carry.
`audit_file` appends and rotates the audit log, `audit_summary` aggregates floods of decisions.
"""
