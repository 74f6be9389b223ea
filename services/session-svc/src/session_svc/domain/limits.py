"""Every limit the contract promises, in one place."""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

NAME_CHARACTERS: Final = 128
EXISTING_NAME_CHARACTERS: Final = 256
TITLE_CHARACTERS: Final = 200
AUTO_TITLE_CHARACTERS: Final = 60
PREVIEW_CHARACTERS: Final = 120
AUTHOR_CHARACTERS: Final = 256
STATUS_REASON_CHARACTERS: Final = 1024
ID_CHARACTERS: Final = 64
REQUEST_ID_CHARACTERS: Final = 64
LABELS: Final = 64
LABEL_KEY_CHARACTERS: Final = 63
LABEL_VALUE_CHARACTERS: Final = 256
ATTRIBUTES_DEPTH: Final = 100
"""How deep a JSON object of attributes may nest; deeper ones break other people's parsers."""

CONTENT_BYTES: Final = MIB
ATTRIBUTES_BYTES: Final = MIB
REPLY_TEXT_BYTES: Final = MIB
REPLY_BYTES: Final = 2 * MIB
"""A reply with its parts."""
PART_BYTES: Final = 64 * KIB
REPLY_MESSAGE_BYTES: Final = REPLY_BYTES + 64 * KIB
"""Content and attributes of what a reply of REPLY_BYTES becomes: with what stands between its parts."""
REQUEST_BYTES: Final = 4 * MIB
FRAME_BYTES: Final = 8 * MIB
"""What the server accepts, so that it can refuse what exceeds REQUEST_BYTES itself."""
RESPONSE_BYTES: Final = 3 * MIB + MIB // 2

MESSAGES_PER_APPEND: Final = 1000
MESSAGES_PER_TRUNCATE: Final = 1000
PAGE_SIZE: Final = 1000
DEFAULT_SESSIONS_PAGE: Final = 50
DEFAULT_MESSAGES_PAGE: Final = 100
SNAPSHOT_TAIL: Final = 1000

LEASE_MIN_MS: Final = 1_000
LEASE_MAX_MS: Final = 60_000
LEASE_DEFAULT_MS: Final = 15_000
REQUEST_IDS_PER_DAY: Final = 10_000
TTL_MIN_MS: Final = 1_000
TTL_MAX_MS: Final = 10 * 366 * 86_400_000

ANNOUNCED_MESSAGES: Final = 100
"""More messages than this, found grown behind our back, are announced as one reset."""

DATA_VERSION: Final = 1
"""What this code writes; newer data is refused with UNUSABLE_DATA."""
