"""Asks the gateway of this machine whether it is ready; with nothing but the standard library, so that it is quick."""

import http.client
import os

DEFAULT_LISTEN = "127.0.0.1:3000"
TIMEOUT_SECONDS = 3.0
_ANY = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - Where others listen, not us.


def is_ready() -> bool:
    """Whether /readyz at GATEWAY_LISTEN answers 200."""
    host, _, port = (os.environ.get("GATEWAY_LISTEN") or DEFAULT_LISTEN).rpartition(":")
    connection = http.client.HTTPConnection(f"{_ANY.get(host, host)}:{port}", timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
