"""A call as gRPC holds it, and how one is torn down whose client does not let it end.

A status goes out behind the answers before it. Where the client's flow control is full those wait for it, and so does
`abort`, for as long as the client stays connected: the call, its memory and its task would stay, too. grpc.aio has no
call for giving up; but it holds each call by one task, the keeper, in which another one runs the handler. When both are
gone, gRPC cancels the call: its client gets CANCELLED past all flow control, and nothing is left.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final

_KEEPER: Final = "rpc_task"
"""What grpc.aio names its keepers."""


class _Handling(asyncio.Task[Any]):
    """The task of a handler. `keeper`: the task that holds its call."""

    keeper: asyncio.Task[Any]


def find_keepers(loop: asyncio.AbstractEventLoop) -> None:
    """Has every handler that begins in `loop` know its keeper, which runs when it creates the handler's task."""
    loop.set_task_factory(_make_task)


class Rpc:
    """The call whose handler runs now."""

    __slots__ = ("handler", "keeper")

    def __init__(self) -> None:
        handler = asyncio.current_task()
        assert handler is not None  # noqa: S101 - Handlers run in tasks.
        self.handler: asyncio.Task[Any] = handler
        # Where another gRPC names its keepers otherwise, calls are served, and torn down as far as a handler can be.
        self.keeper: asyncio.Task[Any] = handler.keeper if isinstance(handler, _Handling) else handler

    def when_over(self, callback: Callable[[asyncio.Task[Any]], object]) -> None:
        """Calls `callback` once gRPC has let go of the call: its client has all of it, or has left."""
        self.keeper.add_done_callback(callback)

    def tear_down(self) -> None:
        """Ends it, whatever its client does."""
        self.handler.cancel()
        self.keeper.cancel()


def _make_task(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
    **options: Any,  # noqa: ANN401 - Whatever this version of Python has tasks made with.
) -> asyncio.Task[Any]:
    creator = asyncio.current_task(loop)
    if creator is None or creator.get_name() != _KEEPER:
        return asyncio.Task(coroutine, loop=loop, **options)
    handling = _Handling(coroutine, loop=loop, **options)
    handling.keeper = creator
    return handling
