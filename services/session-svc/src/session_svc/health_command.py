"""`session-svc health`: asks the service that listens here whether it is ready."""

import sys
from pathlib import Path
from typing import Final

import grpc
from aichat_runtime.address import Address
from grpc_health.v1 import health_pb2

from session_svc.settings import HealthSettings

_SECONDS: Final = 3.0


def run(settings: HealthSettings) -> int:
    """0 if it is ready; else 1, and one line says why."""
    address = settings.session_svc_listen.reachable
    try:
        channel = _channel(address, settings.tls_cert)
    except (OSError, ValueError) as error:
        print(f"session-svc at {address} cannot be asked: TLS_CERT: {error}", file=sys.stderr)
        return 1
    with channel:
        try:
            answer = _check(channel)(health_pb2.HealthCheckRequest(), timeout=_SECONDS)
        except grpc.RpcError as error:
            print(f"session-svc at {address} does not answer: {error.code().name}", file=sys.stderr)
            return 1
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        print(f"session-svc at {address} is not ready", file=sys.stderr)
        return 1
    return 0


def _channel(address: Address, certificate: Path | None) -> grpc.Channel:
    """To `address`, trusting under TLS only the very certificate that the service here has, whatever its names."""
    if certificate is None:
        return grpc.insecure_channel(str(address))
    from cryptography import x509  # noqa: PLC0415 - Without TLS, a check every few seconds does without it.

    pem = certificate.read_bytes()
    names = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    known = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    override = (("grpc.ssl_target_name_override", known[0].replace("*", "any")),)
    return grpc.secure_channel(str(address), grpc.ssl_channel_credentials(pem), override)


def _check(
    channel: grpc.Channel,
) -> "grpc.UnaryUnaryMultiCallable[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]":
    return channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
