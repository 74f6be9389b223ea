"""Settings from the environment, every bad value reported at once.

A program subclasses `ProgramSettings`, a service `ServiceSettings`, with its own fields and calls `load`.
Any field may also be given as `<NAME>_FILE`, the path of a file that holds it,
as Docker and Kubernetes mount secrets.
"""

import ipaddress
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn, Self, TypeVar
from urllib.parse import quote, urlsplit

from pydantic import (
    ByteSize,
    Field,
    GetCoreSchemaHandler,
    SecretStr,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import core_schema
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from aichat_runtime.memory import default_limit
from aichat_runtime.proxies import TrustedProxies

SettingsT = TypeVar("SettingsT", bound="ProgramSettings")

REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
LEAST_MEMORY = 128 * 1024 * 1024
"""With less a service would refuse everything from its start."""

_BYTES = TypeAdapter(ByteSize)


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a host name or IP address and a port, 0 for any free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `host:port` or `[v6]:port`; raises ValueError that shows the form."""
        host, colon, port = text.strip().rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            host = ""
        if not (colon and host and port.isascii() and port.isdigit() and int(port) <= 65535):
            raise ValueError(f"{text!r} is no address; write host:port, for example 127.0.0.1:3000 or [::1]:3000")
        return cls(host, int(port))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Lets a settings field be an Address, read from text."""
        del source, handler
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, cls) else cls.parse(str(value))
        )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an IP address, is this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class _FileSource(PydanticBaseSettingsSource):
    """Reads `<NAME>_FILE` for fields whose own variable is not set."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - The base class fixes the signature.
        path = os.environ.get(f"{field_name.upper()}_FILE", "")
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n"), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            raise UnreadableFileError(f"{field_name.upper()}_FILE: {error}") from error

    def __call__(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            if name.endswith("_file"):
                continue
            value, key, _ = self.get_field_value(field, name)
            if value is not None:
                values[key] = value
        return values


class UnreadableFileError(Exception):
    """A `<NAME>_FILE` names a file that cannot be read."""


class ProgramSettings(BaseSettings):
    """What every program of ours that runs unattended reads from its environment; see each field's description."""

    model_config = SettingsConfigDict(env_ignore_empty=True, enable_decoding=False, extra="ignore", frozen=True)

    metrics_listen: Address | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] | None = Field(None, description="console on a terminal, else json")
    drain_seconds: float = Field(30, ge=0, le=3600)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - The base class fixes the signature.
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - The base class fixes the signature.
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _FileSource(settings_cls)


class ServiceSettings(ProgramSettings):
    """What both services read besides: where Redis is, who may call, and whether they may be published."""

    redis_enabled: bool = Field(True, description="false: storage in memory, nothing survives")
    redis_url: SecretStr | None = Field(None, description="redis://, rediss:// or unix:// URL")
    redis_host: str = "localhost"
    redis_port: int = Field(6379, ge=1, le=65535)
    redis_username: str | None = None
    redis_password: SecretStr | None = None
    redis_database: int = Field(0, ge=0)
    published_address: str | None = Field(
        None, description="where others reach the service, when not at its listen address"
    )
    trusted_proxies: TrustedProxies = Field((), description="addresses or networks whose X-Forwarded-* counts")
    allow_anonymous: bool = Field(False, description="serve beyond loopback without tokens")
    auth_tokens_file: Path | None = Field(None, description="the file that `session-svc token` keeps")
    oidc_issuer: str | None = Field(None, description="the OpenID provider whose JWTs are accepted, as in their iss")
    oidc_audience: str | None = Field(None, description="whom the JWTs must be meant for: their aud")
    oidc_jwks: str | None = Field(None, description="its keys, a URL or a file; else where its discovery says")
    tls_cert: Path | None = Field(None, description="PEM: the certificate, then those that vouch for it")
    tls_key: Path | None = Field(None, description="PEM: the certificate's private key")
    limit_memory: int | None = Field(None, description="bytes, or with a unit; 0: no limit; else by the machine")

    @field_validator("limit_memory", mode="before")
    @classmethod
    def _memory_is_enough_to_run(cls, value: object) -> int | None:
        if value is None:
            return None
        try:
            size = int(_BYTES.validate_python(value))
        except ValidationError:
            size = -1
        if size and size < LEAST_MEMORY:
            raise ValueError(f"{value!r} is no size; write bytes or a unit, at least 128MiB: 512MiB; 0 is no limit")
        return size

    @model_validator(mode="after")
    def _settings_that_belong_together(self) -> Self:
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ValueError("TLS_CERT, TLS_KEY: set both or neither")
        if self.oidc_issuer and not self.oidc_audience:
            raise ValueError("OIDC_AUDIENCE: missing; without it a JWT meant for any other service would do here")
        if not self.oidc_issuer and (self.oidc_audience or self.oidc_jwks):
            raise ValueError("OIDC_ISSUER: missing; OIDC_AUDIENCE and OIDC_JWKS mean nothing without it")
        for name, url in (("OIDC_ISSUER", self.oidc_issuer), ("OIDC_JWKS", self.oidc_jwks)):
            problem = _insecure(url) if url and (name == "OIDC_ISSUER" or "://" in url) else None
            if problem:
                raise ValueError(f"{name}: {problem}")
        return self

    @property
    def memory_limit(self) -> int:
        """Bytes that the process may have in memory; 0: no limit."""
        return default_limit() if self.limit_memory is None else self.limit_memory

    @property
    def tokens_required(self) -> bool:
        """Whether every call must carry a token."""
        return bool(self.auth_tokens_file or self.oidc_issuer)

    @model_validator(mode="after")
    def _redis_url_has_a_known_scheme(self) -> Self:
        if self.redis_url and not self.redis_url.get_secret_value().startswith(REDIS_SCHEMES):
            raise ValueError("REDIS_URL: must begin with redis://, rediss:// or unix://")
        return self

    def redis_dsn(self) -> str:
        """The URL of the Redis server, credentials included: never log it."""
        if self.redis_url:
            return self.redis_url.get_secret_value()
        user = quote(self.redis_username or "", safe="")
        password = quote(self.redis_password.get_secret_value(), safe="") if self.redis_password else ""
        credentials = f"{user}:{password}@" if user or password else ""
        host = f"[{self.redis_host}]" if ":" in self.redis_host else self.redis_host
        return f"redis://{credentials}{host}:{self.redis_port}/{self.redis_database}"

    def refusal_to_publish(self, listen: Address, variable: str) -> str | None:
        """Why the service must not start: it is reachable from other machines and has no tokens. None: it may."""
        published = self.published_address or listen.host
        if self.allow_anonymous or self.tokens_required or is_loopback(published):
            return None
        return (
            f"{variable}: {published} is reachable from other machines and this deployment has no tokens: anyone "
            f"could read and write every session. Set AUTH_TOKENS_FILE and make a token with "
            f"`session-svc token create NAME`, or set OIDC_ISSUER; or listen on 127.0.0.1; or set "
            f"ALLOW_ANONYMOUS=true to allow it."
        )


def _insecure(url: str) -> str | None:
    """Why keys must not be fetched from `url`; None: they may."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        return None
    return f"{url!r} must begin with https://: whoever can change what it answers can sign in as anyone"


def load(settings_class: type[SettingsT]) -> SettingsT:
    """Reads the environment; on bad values prints one line for each on stderr and exits with 2."""
    try:
        return settings_class()
    except ValidationError as error:
        exit_with_errors([_line(item["loc"], item["msg"]) for item in error.errors(include_input=False)])
    except UnreadableFileError as error:
        exit_with_errors([str(error)])


def exit_with_errors(lines: list[str]) -> NoReturn:
    """Prints one line for each bad setting on stderr and exits with 2."""
    for line in lines:
        print(f"bad setting: {line}", file=sys.stderr)
    raise SystemExit(2)


def _line(location: tuple[int | str, ...], message: str) -> str:
    text = message.removeprefix("Value error, ")
    return f"{str(location[0]).upper()}: {text}" if location else text
