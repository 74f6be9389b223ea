"""`ai-chat context`."""

import json
from pathlib import Path

from ai_chat_cli import config_file, output
from ai_chat_cli.config_file import CONTEXT_KEYS, ConfigFile
from ai_chat_cli.failure import CliError, ExitCode
from ai_chat_cli.invocation import Invocation, checked
from ai_chat_cli.settings import own_config_path, read_flags
from ai_chat_cli.text import safe_line


def list_contexts(invocation: Invocation) -> None:
    """Prints the contexts, without their tokens."""
    file = load(invocation)
    for name, entry in file.contexts.items():
        shown = {key: entry[key] for key in CONTEXT_KEYS if key in entry and key != "token"}
        if invocation.json:
            output.data(json.dumps({"name": name, "current": name == file.current, **shown}, ensure_ascii=False))
        else:
            details = "".join(f"  {key}={safe_line(str(value))}" for key, value in shown.items())
            output.data(f"{'*' if name == file.current else ' '} {safe_line(name)}{details}")


def use(invocation: Invocation, name: str) -> None:
    """Makes a context the one in use."""
    file = existing(invocation, name)
    file.raw["current"] = name
    file.save()


def set_context(invocation: Invocation, name: str) -> None:
    """Changes what the flags give of a context, which need not exist."""
    values: dict[str, str | int] = dict(read_flags(invocation.flags))
    if not values:
        raise CliError("nothing to set; give --server, --token-file or another setting", ExitCode.USAGE)
    if "ttl" in values:
        values["ttl"] = int(values["ttl"])
    file = load(invocation)
    contexts = file.contexts
    contexts[checked(name, "the name")] = {**contexts.get(name, {}), **values}
    file.raw["contexts"] = contexts
    file.raw.setdefault("current", name)
    file.save()


def delete(invocation: Invocation, name: str) -> None:
    """Deletes a context; when it was in use, none is."""
    file = existing(invocation, name)
    file.raw["contexts"] = {other: entry for other, entry in file.contexts.items() if other != name}
    if file.current == name:
        del file.raw["current"]
    file.save()


def load(invocation: Invocation) -> ConfigFile:
    """The user's config file; says why when nothing of it was read."""
    file = config_file.load(own_config_path(invocation.flags, Path.home()))
    if file.problem is not None:
        output.note(f"warning: {file.problem}; ignored")
    return file


def existing(invocation: Invocation, name: str) -> ConfigFile:
    """The config file, when it has that context. CliError (NOT_FOUND) that names those it has."""
    file = load(invocation)
    if name not in file.contexts:
        known = ", ".join(file.contexts) or "none yet"
        raise CliError(f"there is no context {name!r} (there is: {known})", ExitCode.NOT_FOUND)
    return file
