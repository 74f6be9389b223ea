"""Settings from the environment, every bad value reported at once.

A program subclasses `ProgramSettings`, a service `ServiceSettings`, with its own fields and calls `load`.
Any field may also be given as `<NAME>_FILE`, the path of a file that holds it,
as Docker and Kubernetes mount secrets.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar
from urllib.parse import quote, urlsplit

from pydantic import (
    BeforeValidator,
    ByteSize,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from aichat_runtime.address import Address, host_of, is_loopback
from aichat_runtime.file_source import FileSource, Unreadable
from aichat_runtime.memory import default_limit
from aichat_runtime.proxies import TrustedProxies
from aichat_runtime.tls import UnusablePairError, read_pair

SettingsT = TypeVar("SettingsT", bound="ProgramSettings")

REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
LEAST_MEMORY = 128 * 1024 * 1024
"""With less a service would refuse everything from its start."""

_BYTES = TypeAdapter(ByteSize)
_UNREADABLE = "unreadable_file"


def _enough_memory(value: object) -> int | None:
    """Bytes, or a size with a unit; enough to run with."""
    if value is None:
        return None
    try:
        size = int(_BYTES.validate_python(value))
    except ValidationError:
        size = -1
    if size and size < LEAST_MEMORY:
        raise ValueError(f"{value!r} is no size; write bytes or a unit, at least 128MiB: 512MiB; 0 is no limit")
    return size


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
        return init_settings, env_settings, FileSource(settings_cls)

    @field_validator("*", mode="before")
    @classmethod
    def _its_file_can_be_read(cls, value: object) -> object:
        if isinstance(value, Unreadable):
            raise PydanticCustomError(_UNREADABLE, "{problem}", {"problem": value.problem})
        return value

    def problems(self) -> Iterator[str]:
        """What is wrong between settings that are each well-formed, or with a file that one names.

        A line for each, the variable first. `load` reports them; a subclass adds its own.
        """
        yield from ()


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
    limit_memory: Annotated[int | None, BeforeValidator(_enough_memory)] = Field(
        None, description="bytes, or with a unit; 0: no limit; else by the machine"
    )

    @field_validator("redis_url")
    @classmethod
    def _redis_url_is_one(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not _is_redis_url(value.get_secret_value()):
            # Without the text: it may hold a password.
            raise ValueError(
                "no URL of a Redis server; write redis://, rediss:// or unix://, for example "
                "redis://user:password@host:6379/0, with special characters of the password percent-encoded"
            )
        return value

    @field_validator("published_address")
    @classmethod
    def _published_address_is_a_host(cls, value: str | None) -> str | None:
        """Its host: the port, which the listen address has, may stand behind it and says nothing."""
        return None if value is None else host_of(value)

    @field_validator("oidc_issuer", "oidc_jwks")
    @classmethod
    def _keys_come_untampered(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value and (info.field_name == "oidc_issuer" or "://" in value):
            problem = _insecure(value)
            if problem:
                raise ValueError(problem)
        return value

    def problems(self) -> Iterator[str]:
        """See ProgramSettings."""
        yield from super().problems()
        if bool(self.tls_cert) != bool(self.tls_key):
            yield "TLS_CERT, TLS_KEY: set both or neither"
        if self.tls_cert and self.tls_key:
            try:
                read_pair(self.tls_cert, self.tls_key)
            except UnusablePairError as error:
                yield f"TLS_CERT, TLS_KEY: {error}"
        if self.oidc_issuer and not self.oidc_audience:
            yield "OIDC_AUDIENCE: missing; without it a JWT meant for any other service would do here"
        if not self.oidc_issuer and (self.oidc_audience or self.oidc_jwks):
            yield "OIDC_ISSUER: missing; OIDC_AUDIENCE and OIDC_JWKS mean nothing without it"

    @property
    def memory_limit(self) -> int:
        """Bytes that the process may have in memory; 0: no limit."""
        return default_limit() if self.limit_memory is None else self.limit_memory

    @property
    def tokens_required(self) -> bool:
        """Whether every call must carry a token."""
        return bool(self.auth_tokens_file or self.oidc_issuer)

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


def _is_redis_url(url: str) -> bool:
    """Whether Redis clients understand `url` as it is meant: they take what is no number for database 0."""
    if not url.startswith(REDIS_SCHEMES):
        return False
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    path = parts.path.strip("/")
    return not parts.fragment and (bool(path) if parts.scheme == "unix" else not path or path.isdecimal())


def load(settings_class: type[SettingsT]) -> SettingsT:
    """Reads the environment; on bad values prints one line for each on stderr and exits with 2."""
    lines: list[str] = []
    instead: dict[str, Any] = {}
    try:
        settings = settings_class()
    except ValidationError as error:
        for item in error.errors(include_input=False):
            name = str(item["loc"][0])
            variable = f"{name}_file" if item["type"] == _UNREADABLE else name
            lines.append(f"{variable.upper()}: {item['msg'].removeprefix('Value error, ')}")
            instead[name] = settings_class.model_fields[name].get_default(call_default_factory=True)
        # What is wrong with the others is told, too, as far as it is not about these.
        settings = settings_class(**instead)
    lines += [line for line in settings.problems() if not any(name.upper() in line for name in instead)]
    if lines:
        exit_with_errors(lines)
    return settings


def exit_with_errors(lines: list[str]) -> NoReturn:
    """Prints one line for each bad setting on stderr and exits with 2."""
    for line in lines:
        print(f"bad setting: {line}", file=sys.stderr)
    raise SystemExit(2)
