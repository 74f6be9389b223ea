"""The Prometheus endpoint."""

from prometheus_client import start_http_server

from aichat_runtime.address import Address


def serve(address: Address | None) -> None:
    """Serves `/metrics` at `address` from a thread of its own; does nothing without an address.

    Raises OSError when the address is taken.
    """
    if address is not None:
        start_http_server(address.port, address.host)
