"""Where Chromium is on this machine."""

import os
import shutil
from pathlib import Path
from typing import Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")


def find_chromium(downloaded: str) -> str | None:
    """The program to start: `CHROMIUM`, else one on PATH, else `downloaded` where that exists; None: there is none."""
    if named := os.environ.get("CHROMIUM"):
        return named
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    return found or (downloaded if Path(downloaded).exists() else None)
