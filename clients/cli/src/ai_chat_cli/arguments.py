"""The command line before it is parsed: options that may stand anywhere, and one whose value may be left out."""

from collections.abc import Sequence

_WITH_VALUE = frozenset({
    "-s", "--session", "--server", "--tls-ca", "--token-file", "--context", "--config", "--author", "--ttl",
    "--web-url",
})  # fmt: skip
_ALONE = frozenset({"--insecure", "--json"})
_OPTIONAL_VALUE = frozenset({"-r", "--resume"})


def normalised(arguments: Sequence[str]) -> list[str]:
    """Moves the options that every command has to the front, and gives `-r` without TEXT an empty one.

    So `ai-chat list --json --server HOST:PORT` works as people expect. What follows `--` stays as it is.
    """
    front: list[str] = []
    rest: list[str] = []
    waiting = list(reversed(arguments))
    while waiting:
        argument = waiting.pop()
        name, separator, _ = argument.partition("=")
        if argument == "--":
            rest += [argument, *reversed(waiting)]
            break
        if argument in _ALONE or (name in _WITH_VALUE and separator):
            front.append(argument)
        elif argument in _WITH_VALUE and waiting:
            front += [argument, waiting.pop()]
        elif argument in _OPTIONAL_VALUE and (not waiting or waiting[-1].startswith("-")):
            rest += [argument, ""]
        else:
            rest.append(argument)
    return front + rest
