"""`make soak`: load, kills, and then the count. Exit 1 when anything was lost, doubled or leaked."""

import argparse
import asyncio
import random
import resource
import sys
import time
from contextlib import AsyncExitStack
from typing import Final

from ai_chat_client import AiChatError, AsyncClient
from support.resuming_viewer import ResumingViewer
from support.workload import Workload, judge

from bench.soak.deployment import Deployment, Holding
from bench.soak.report import Report

WORDS: Final = 10
PATIENCE_SECONDS: Final = 180.0
CATCH_UP_SECONDS: Final = 180.0
SETTLE_SECONDS: Final = 90.0
"""Longer than anything is kept for those who may come back."""


class Soak:
    """One run, as told on the command line."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._random = random.Random(options.seed)  # noqa: S311 - Which process dies next is no secret.
        self._report = Report()

    async def run(self) -> Report:
        """Returns what was found; raises what must not happen at all, such as a service that does not come back."""
        async with Deployment() as deployment, AsyncClient(deployment.grpc_target, tls=False) as client:
            self._report.before = self._report.peak = deployment.holdings()
            await self._under_load(deployment, client)
            self._report.after = await self._settled(deployment)
        return self._report

    async def _under_load(self, deployment: Deployment, client: AsyncClient) -> None:
        sessions = [f"soak-{number}" for number in range(self._options.writers)]
        writers = [
            Workload(client, session, pause=self._options.pause, words=WORDS, patience=PATIENCE_SECONDS)
            for session in sessions
        ]
        async with AsyncExitStack() as stack:
            viewers = [
                ResumingViewer(deployment.gateways, sessions[number % len(sessions)], first=number // len(sessions))
                for number in range(self._options.viewers)
            ]
            for viewer in viewers:
                await stack.enter_async_context(viewer)
            await asyncio.gather(*(viewer.until_open() for viewer in viewers))
            print(f"{len(viewers)} viewers are there", flush=True)
            async with asyncio.TaskGroup() as writing:
                for writer in writers:
                    writing.create_task(writer.run())
                await self._kill_and_kill(deployment)
                for writer in writers:
                    writer.stop()
            await self._count(client, writers, viewers)

    async def _kill_and_kill(self, deployment: Deployment) -> None:
        until = time.monotonic() + self._options.seconds
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left, self._random.uniform(0.5, 1.5) * self._options.every))
            now = deployment.holdings()
            self._report.peak = {name: _larger(self._report.peak[name], now[name]) for name in now}
            name = self._random.choice(deployment.names)
            began = time.monotonic()
            await deployment.kill(name)
            self._report.faults[name] += 1
            print(f"{max(left, 0):4.0f} s left: killed {name}, back after {time.monotonic() - began:.1f} s", flush=True)

    async def _count(self, client: AsyncClient, writers: list[Workload], viewers: list[ResumingViewer]) -> None:
        report = self._report
        for writer in writers:
            written = writer.written
            stored = [message async for message in client.messages(written.session)]
            report.verdicts.append(judge(written, stored))
            report.replies += len(written.texts)
            report.unsure += len(written.unsure)
            report.retries += written.retries
            identities = [message.id for message in stored]
            for viewer in (each for each in viewers if each.session == written.session):
                try:
                    async with asyncio.timeout(CATCH_UP_SECONDS):
                        await viewer.until_seen(len(stored))
                except TimeoutError:
                    print(f"a viewer of {written.session} saw {len(viewer.ledger.ids)} of {len(stored)}", flush=True)
                report.behind += viewer.ledger.ids != identities
        report.ledgers = [viewer.ledger for viewer in viewers]
        report.reconnects = sum(len(viewer.ends) for viewer in viewers)

    async def _settled(self, deployment: Deployment) -> dict[str, Holding]:
        """What the processes have once nobody is there any more, at the latest after SETTLE_SECONDS."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            self._report.after = deployment.holdings()
            if not any("than before the load" in line for line in self._report.failures):
                break
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(1)
        return dict(self._report.after)


def _larger(one: Holding, other: Holding) -> Holding:
    return Holding(max(one.memory, other.memory), max(one.descriptors, other.descriptors))


def main() -> None:
    """Reads the command line, runs, prints the counts."""
    parser = argparse.ArgumentParser(prog="soak", description="A long run under load and kills.")
    parser.add_argument("--seconds", type=float, default=600, help="how long there are kills (600)")
    parser.add_argument("--viewers", type=int, default=1000, help="open streams (1000)")
    parser.add_argument("--writers", type=int, default=50, help="programs, each writing to a session of its own (50)")
    parser.add_argument("--pause", type=float, default=5, help="seconds between two turns of a writer (5)")
    parser.add_argument("--every", type=float, default=8, help="seconds between two kills, on average (8)")
    parser.add_argument("--seed", type=int, default=None, help="repeats the order of the kills")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        report = asyncio.run(Soak(options).run())
    except* AiChatError as errors:
        sys.exit(f"a writer could not write for {PATIENCE_SECONDS:g} s: {errors.exceptions}")
    print("\n" + "\n".join(report.lines()))
    for line in report.failures:
        print(f"FAILED  {line}")
    sys.exit(1 if report.failures else 0)


if __name__ == "__main__":
    main()
