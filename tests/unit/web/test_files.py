"""The files of the web page: complete, unmodified where they are others' work, asking no other host for anything."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

WEB = Path(str(files("stream_gateway") / "web"))
SIGN_IN = WEB.parent / "http" / "sign_in.html"
VENDOR = WEB / "vendor"
MANIFEST: list[dict[str, Any]] = json.loads((VENDOR / "manifest.json").read_text(encoding="utf-8"))
VENDORED: dict[str, dict[str, str]] = {
    path: hashes for library in MANIFEST for path, hashes in library["files"].items()
}
OURS = sorted(path for path in WEB.rglob("*") if path.suffix in {".js", ".css", ".html"} and VENDOR not in path.parents)


class _Elements(HTMLParser):
    """Every start tag of the page with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


def _page(file: Path = WEB / "index.html") -> list[tuple[str, dict[str, str]]]:
    parser = _Elements()
    parser.feed(file.read_text(encoding="utf-8"))
    return parser.found


@pytest.mark.parametrize("path", sorted(VENDORED))
def test_a_vendored_file_is_as_it_was_published(path: str) -> None:
    content = (VENDOR / path).read_bytes()
    assert hashlib.sha256(content).hexdigest() == VENDORED[path]["sha256"]
    assert "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode() == VENDORED[path]["integrity"]


def test_everything_vendored_is_in_the_manifest_with_its_licence() -> None:
    present = {str(path.relative_to(VENDOR)) for path in VENDOR.rglob("*") if path.is_file()}
    assert present == {*VENDORED, "manifest.json"}
    assert {path.split("/")[0] for path in present if path.endswith("/LICENSE")} == {
        path.split("/")[0] for path in VENDORED
    }


def test_the_browser_checks_the_libraries_that_it_runs() -> None:
    checked = {
        attributes["href"].removeprefix("static/vendor/"): attributes["integrity"]
        for tag, attributes in _page()
        if tag == "link" and "integrity" in attributes
    }
    scripts = {path: hashes["integrity"] for path, hashes in VENDORED.items() if path.endswith(("js", "mjs"))}
    assert checked == scripts


def test_every_module_is_asked_for_at_once_and_not_one_after_the_other() -> None:
    preloaded = {attributes["href"] for tag, attributes in _page() if attributes.get("rel") == "modulepreload"}
    started = {attributes["src"] for tag, attributes in _page() if tag == "script"}
    modules = {f"static/{path.relative_to(WEB)}" for path in OURS if path.suffix == ".js"}
    assert preloaded - {f"static/vendor/{path}" for path in VENDORED} == modules - started


def test_every_stylesheet_is_linked() -> None:
    elements = [*_page(), *_page(SIGN_IN)]
    linked = {attributes["href"] for tag, attributes in elements if attributes.get("rel") == "stylesheet"}
    assert linked == {f"static/{path.relative_to(WEB)}" for path in OURS if path.suffix == ".css"}


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_nothing_is_loaded_from_another_host_or_from_the_root_of_this_one(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    loads = re.findall(r"""(?:src|href)="([^"]*)"|url\(["']?([^"')]*)|(?:from|import)\s*\(?"([^"]*)\"""", text)
    targets = [target for found in loads for target in found if target]
    assert [target for target in targets if re.match(r"[a-z]+:|/", target)] == []


def test_the_page_has_no_script_style_or_handler_of_its_own_inside() -> None:
    for tag, attributes in _page():
        assert tag != "style"
        assert tag != "script" or attributes.keys() == {"type", "src"}
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
