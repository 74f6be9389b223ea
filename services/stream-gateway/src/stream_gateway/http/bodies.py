"""What clients send, and, for the API's description, what they get."""

from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

MAX_BODY_BYTES = 4 * 1024 * 1024
TEN_YEARS_MS = 10 * 366 * 86_400_000
MAX_INTEGER = 2**53 - 1
"""The largest that every reader of JSON has exactly; gRPC takes more, but not any."""

Ttl = Annotated[
    int, Field(ge=0, le=TEN_YEARS_MS, description="Milliseconds; 0: never expires; null: the server's default")
]


def _whole(text: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("half of a surrogate pair is no text")
    return text


Text = Annotated[str, AfterValidator(_whole)]


class Body(BaseModel):
    """A JSON object whose members are all known: a misspelt one is an error, not silence."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, strict=True)


class CreateBody(Body):
    """A session to be created."""

    name: Text = Field("", description="Made up when empty")
    title: Text = ""
    ttl: Ttl | None = None
    labels: dict[Text, Text] = Field(default_factory=dict)
    allow_existing: bool = Field(False, description="When the name is taken, answer 200 with that session")


class UpdateBody(Body):
    """What to change; what is absent stays."""

    title: Text | None = Field(None, description="Empty or null: back to the automatic one")
    ttl: Ttl | None = None
    labels: dict[Text, Text] | None = Field(None, description="Replaces all labels")


class TruncateBody(Body):
    """How much to keep, or to remove from the end: exactly one of both."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": [given], "properties": {given: {"type": "integer"}, other: {"type": "null"}}}
                for given, other in (("keep", "removeLast"), ("removeLast", "keep"))
            ]
        }
    )

    keep: int | None = Field(None, ge=0, le=MAX_INTEGER, description="How many messages stay, of the first")
    remove_last: int | None = Field(None, ge=1, le=1000, description="How many messages go, of the last")

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "TruncateBody":
        if (self.keep is None) == (self.remove_last is None):
            raise ValueError("give either keep or removeLast")
        return self


class StopBody(Body):
    """Which reply to stop; none: the one being written."""

    reply_id: Text = ""


class EmptyBody(Body):
    """Nothing: `{}`, or no body at all."""


class Described(BaseModel):
    """Only described, never built: answers are written as session-svc gave them, byte for byte."""

    model_config = ConfigDict(alias_generator=to_camel)


class ReplyJson(Described):
    """A reply that is being written."""

    id: str
    author: str = ""
    model: str = ""
    started_at: int


class SessionJson(Described):
    """A session; what is unset is absent. Times and spans are milliseconds."""

    name: str
    title: str = ""
    title_source: str = Field("", description="user or auto")
    owner: str = ""
    last_message: int = Field(description="The last activity")
    message_count: int
    created_at: int
    expires_at: int | None = None
    ttl: int | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    last_role: str = ""
    preview: str = ""
    awaiting_reply: bool = False
    reply: ReplyJson | None = None


class NewMessageJson(Described):
    """A message to be appended; other members are ignored."""

    role: str = Field(description="user, assistant, system or tool")
    content: str
    id: str = ""
    author: str = ""
    model: str = ""
    timestamp: int | None = Field(None, description="Milliseconds")
    status: str = Field("complete", description="complete, interrupted, failed or unreadable")
    status_reason: str = ""
    attributes: dict[str, Any] | None = Field(None, description="Kept byte for byte")


class MessageJson(NewMessageJson):
    """A message; what is unset, and the status complete, is absent."""

    id: str
    sequence: int


class MessagesBody(Described):
    """Messages to be appended in one step, in this order."""

    messages: list[NewMessageJson] = Field(min_length=1, max_length=1000)


class ReceiptJson(Described):
    """What a writer is told of a message."""

    id: str
    sequence: int
    timestamp: int


class Appended(Described):
    """What was appended, without contents."""

    messages: list[ReceiptJson]
    position: str
    session: SessionJson


class Truncated(Described):
    """What was removed, oldest first, and the session as it is now."""

    removed: list[MessageJson]
    session: SessionJson


class Stopped(Described):
    """What was kept of the reply; absent when nothing had been said."""

    message: MessageJson | None = None


class ProblemJson(Described):
    """A refusal (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    reason: str


def milliseconds(ttl: int | None) -> timedelta | None:
    """A time to live as the client takes it."""
    return None if ttl is None else timedelta(milliseconds=ttl)
