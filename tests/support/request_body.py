"""The body of a request, for servers of tests that are based on `http.server`, which leaves its reading to them."""

from http.server import BaseHTTPRequestHandler


def request_body(request: BaseHTTPRequestHandler) -> bytes:
    """Read and return the body, with a length or in chunks (RFC 9112, section 7.1)."""
    if request.headers.get("Transfer-Encoding", "").lower() != "chunked":
        return request.rfile.read(int(request.headers.get("Content-Length") or 0))
    body = b""
    while size := int(request.rfile.readline(), 16):
        body += request.rfile.read(size)
        request.rfile.readline()
    request.rfile.readline()
    return body
