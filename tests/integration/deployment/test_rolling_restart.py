"""Two of each service, restarted one after the other under load, as compose and Kubernetes do it."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from ai_chat_client import AsyncClient
from support.processes import gateway, session_svc
from support.redis_server import RedisServer
from support.resuming_viewer import ResumingViewer
from support.workload import Verdict, Workload, judge

DRAIN_SECONDS = 2.0
GRACE_SECONDS = 60.0
SESSIONS = ("roll-1", "roll-2", "roll-3")
VIEWERS = 8
"""For each session, half of them on each gateway."""


@pytest.mark.timeout(600)
async def test_a_rolling_restart_under_load_loses_doubles_and_truncates_nothing() -> None:
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        drain = str(DRAIN_SECONDS)
        services = [await stack.enter_async_context(session_svc(redis.url, DRAIN_SECONDS=drain)) for _ in range(2)]
        both = "ipv4:" + ",".join(service.address for service in services)
        gateways = [await stack.enter_async_context(gateway(both, redis.url, DRAIN_SECONDS=drain)) for _ in range(2)]
        client = await stack.enter_async_context(AsyncClient(both, tls=False))
        addresses = [each.address for each in gateways]
        viewers = [
            await stack.enter_async_context(ResumingViewer(addresses, session, first=number))
            for session in SESSIONS
            for number in range(VIEWERS)
        ]
        for viewer in viewers:
            await viewer.until_open()

        # No patience: what our client does by itself has to do.
        writers = [Workload(client, session, pause=0.05, words=20) for session in SESSIONS]
        writing = [asyncio.create_task(writer.run()) for writer in writers]
        for service in (*services, *gateways):
            await _until_written(writers, writing)
            assert await service.restart(GRACE_SECONDS) == 0
        await _until_written(writers, writing)
        for writer in writers:
            writer.stop()
        await asyncio.gather(*writing)

        for writer in writers:
            stored = [message async for message in client.messages(writer.written.session)]
            assert judge(writer.written, stored) == Verdict(len(writer.written.ids), lost=0, doubled=0, altered=0)
            assert not writer.written.unsure
            for viewer in viewers:
                if viewer.session != writer.written.session:
                    continue
                async with asyncio.timeout(120):
                    await viewer.until_seen(len(stored))
                assert viewer.ledger.ids == [message.id for message in stored]
                assert (viewer.ledger.doubled, viewer.ledger.missing, viewer.ledger.torn) == (0, 0, 0)

        ends = [end for viewer in viewers for end in viewer.ends]
        assert len(ends) >= len(viewers), "a stream was not told to leave"
        assert all(end.in_order for end in ends), "a stream was cut off"
        first = [viewer.ends[0].at for viewer in viewers]
        assert max(first) - min(first) > DRAIN_SECONDS / 4, "the streams left all at once"


async def _until_written(writers: list[Workload], writing: list[asyncio.Task[None]]) -> None:
    """Returns once every writer has been confirmed another append and another reply; raises what ended one."""
    marks = [len(writer.written.ids) + 3 for writer in writers]
    async with asyncio.timeout(120):
        while any(len(writer.written.ids) < mark for writer, mark in zip(writers, marks, strict=True)):
            for task in writing:
                if task.done():
                    await task
            await asyncio.sleep(0.05)
