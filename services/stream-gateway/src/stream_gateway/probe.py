"""Asks the gateway of this machine whether it is ready; with nothing but the standard library, so that it is quick."""

import http.client
import os

DEFAULT_LISTEN = "127.0.0.1:3000"
TIMEOUT_SECONDS = 3.0
_ANY = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - Where others listen, not us.


def is_ready() -> bool:
    """Whether /readyz at GATEWAY_LISTEN answers 200."""
    host, _, port = (os.environ.get("GATEWAY_LISTEN") or DEFAULT_LISTEN).rpartition(":")
    connection = _connection(f"{_ANY.get(host, host)}:{port}")
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _connection(address: str) -> http.client.HTTPConnection:
    if not os.environ.get("TLS_CERT"):
        return http.client.HTTPConnection(address, timeout=TIMEOUT_SECONDS)
    import ssl  # noqa: PLC0415 - Only where it is needed: this runs every few seconds.

    # The certificate is for the name by which others come; this never leaves the machine.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(address, timeout=TIMEOUT_SECONDS, context=context)
