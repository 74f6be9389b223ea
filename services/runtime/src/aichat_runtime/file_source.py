"""Settings from files: `<NAME>_FILE` holds the path of a file that holds `<NAME>`, as secrets are mounted."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource


@dataclass(frozen=True, slots=True)
class Unreadable:
    """In place of a value: what is wrong with the file that should hold it."""

    problem: str


class FileSource(PydanticBaseSettingsSource):
    """Reads `<NAME>_FILE` for fields whose own variable is not set; `Unreadable` where that fails."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - The base class fixes the signature.
        path = os.environ.get(f"{field_name.upper()}_FILE", "")
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n"), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            return Unreadable(str(error)), field_name, False

    def __call__(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            if name.endswith("_file"):
                continue
            value, key, _ = self.get_field_value(field, name)
            if value is not None:
                values[key] = value
        return values
