"""The TokenVerifier for access tokens in the form of signed JWTs (RFC 9068), with keys fetched as JWKS (RFC 7517).

`claims` parses tokens and checks their claims, `issuer_keys` fetches and keeps public keys, `signature_pacing` bounds
the processor time of signature checks, `verifier` joins them.
"""

from tfo_mcp.infrastructure.tokens.verifier import JwtVerifier

__all__ = ["JwtVerifier"]
