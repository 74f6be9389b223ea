# ruff: noqa: INP001 - a script, not a package.
"""Fetch the browser libraries and fonts of the web page from the npm registry, unmodified.

Run by hand when a version below changes: ``python services/stream-gateway/tools/vendor_web.py``. It writes
``web/vendor/<library>-<version>/`` and ``web/vendor/manifest.json`` (sha256 of every file, the sha384 that
``integrity`` attributes want, and the tarball each came from); a test proves that nothing was changed since.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import tarfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REGISTRY = "https://registry.npmjs.org"
TARGET = Path(__file__).parents[1] / "src/stream_gateway/web/vendor"


@dataclass(frozen=True)
class Library:
    """One npm package: the files the page uses, by their path inside the package."""

    package: str
    version: str
    files: tuple[str, ...]

    @property
    def folder(self) -> str:
        return f"{self.package.removeprefix('@').replace('/', '-')}-{self.version}"


LIBRARIES = (
    Library("markdown-it", "15.0.3", ("LICENSE", "dist/browser/markdown-it.esm.min.mjs")),
    Library("dompurify", "3.4.18", ("LICENSE", "LICENSE-MPL", "dist/purify.es.mjs")),
    Library("@highlightjs/cdn-assets", "11.12.0", ("LICENSE", "es/highlight.min.js")),
    Library(
        "@fontsource-variable/inter",
        "5.3.0",
        (
            "LICENSE",
            "files/inter-cyrillic-wght-normal.woff2",
            "files/inter-greek-wght-normal.woff2",
            "files/inter-latin-ext-wght-normal.woff2",
            "files/inter-latin-wght-normal.woff2",
        ),
    ),
    Library(
        "@fontsource-variable/jetbrains-mono", "5.3.0", ("LICENSE", "files/jetbrains-mono-latin-wght-normal.woff2")
    ),
)


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310 - REGISTRY is https.
        body: bytes = response.read()
    return body


def _vendor(library: Library) -> dict[str, Any]:
    published = json.loads(_get(f"{REGISTRY}/{library.package}/{library.version}"))["dist"]
    tarball = _get(published["tarball"])
    algorithm, _, expected = published["integrity"].partition("-")
    if base64.b64encode(hashlib.new(algorithm, tarball).digest()).decode() != expected:
        raise SystemExit(f"{library.package}: the tarball does not match the registry's integrity; try again")
    files: dict[str, dict[str, str]] = {}
    with tarfile.open(fileobj=io.BytesIO(tarball)) as archive:
        for name in library.files:
            member = archive.extractfile(f"package/{name}")
            if member is None:
                raise SystemExit(f"{library.package} {library.version} holds no {name}; correct LIBRARIES")
            content = member.read()
            # By its last name only: a folder called dist would be dropped by .gitignore and so by the wheel.
            path = TARGET / library.folder / Path(name).name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            files[f"{library.folder}/{path.name}"] = {
                "sha256": hashlib.sha256(content).hexdigest(),
                "integrity": "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode(),
            }
    return {
        "package": library.package,
        "version": library.version,
        "tarball": published["tarball"],
        "tarballIntegrity": published["integrity"],
        "files": files,
    }


def main() -> None:
    """Replace the vendor folder by what the registry serves now."""
    shutil.rmtree(TARGET, ignore_errors=True)
    manifest = [_vendor(library) for library in LIBRARIES]
    (TARGET / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    main()
