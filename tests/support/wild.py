"""Hypothesis strategies for requests of any method: well-formed, with values that nobody would send."""

from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

DEPTH: Final = 3

_INTEGERS: Final = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
}
_TEXTS: Final = (
    *("", "s", "talk", "talk-2", ".", "..", "a b", "a/b", "a{b}", "\x00", "\u2028", "😀" * 200, "x" * 300, "%00"),
    *("{}", "[]", '{"a":1}', '{"a":' * 150 + "1" + "}" * 150, '{"\\ud800":NaN}', "0.0", "zzzzzzzz.1", "a" * 70_000),
    *("-1", "9" * 400, "mwsex2c4a952.18446744073709551616", "title", "ttl", "labels", "*", "session:talk:messages"),
)


def requests(descriptor: Descriptor) -> st.SearchStrategy[bytes]:
    """Serialized messages of this type."""
    return messages(descriptor).map(lambda message: message.SerializeToString())


def messages(descriptor: Descriptor, depth: int = DEPTH) -> st.SearchStrategy[Message]:
    """Messages of this type, any of whose fields may be set to anything."""
    fields = {field.name: _values(field, depth) for field in descriptor.fields if depth or field.message_type is None}
    oneofs = [[field.name for field in oneof.fields if field.name in fields] for oneof in descriptor.oneofs]
    return st.fixed_dictionaries({}, optional=fields).map(lambda chosen: _build(descriptor, chosen, oneofs))


def _build(descriptor: Descriptor, chosen: dict[str, Any], oneofs: list[list[str]]) -> Message:
    for names in oneofs:
        for name in [name for name in names if name in chosen][1:]:
            del chosen[name]
    return GetMessageClass(descriptor)(**chosen)


def _values(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        return st.dictionaries(_text(), _text(), max_size=3)
    value = messages(message, depth - 1) if message is not None else _scalars(field)
    return st.lists(value, max_size=3) if field.is_repeated else value


def _scalars(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.type == FieldDescriptor.TYPE_STRING:
        return _text()
    if field.type == FieldDescriptor.TYPE_BOOL:
        return st.booleans()
    if field.type == FieldDescriptor.TYPE_ENUM:
        assert field.enum_type is not None
        return st.sampled_from([*(value.number for value in field.enum_type.values), -1, 99, 2**31 - 1])
    least, most = _INTEGERS[field.type]
    return st.sampled_from([0, 1, 2, 1000, 1001, -1, least, most, 10**9]) | st.integers(least, most)


def _text() -> st.SearchStrategy[str]:
    return st.sampled_from(_TEXTS) | st.text(max_size=40)
