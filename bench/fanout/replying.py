"""Scenarios with real replies: viewers who rejoin in the middle of one, and many replies at a time."""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from bench.fanout import replies
from bench.fanout.contenders import GATEWAY, Contender, contenders, current_topics, installed
from bench.fanout.results import Sample
from bench.fanout.rounds import Rounds
from bench.fanout.stage import Stage, sample, stage

REJOIN: Final = "1000 viewers rejoin in the middle of a reply"
REJOINING: Final = 1000
END_TO_END: Final = "100 replies, 10 viewers each, through session-svc"
REPLIES: Final = 100
VIEWERS_EACH: Final = 10
TOKENS_A_SECOND: Final = 60
TOKENS: Final = 120
PATIENCE_SECONDS: Final = 5.0


def rejoin(rounds: Rounds) -> Iterator[Sample]:
    """A thousand viewers lose their connection in the middle of a reply and come back at once, as browsers do.

    The reply is written by StreamReply for all that are fed by Redis; nchan is told the same by its own endpoint.
    """
    with stage() as at_work, contenders(installed(), 1) as field:
        for _ in rounds:
            for contender in field:
                topics = current_topics(contender.service, 1) if contender.service else contender.topics
                at_work.seat(contender, topics, REJOINING)
                yield _counted(at_work, contender, REJOIN, _lose_connections)
                at_work.empty(contender)


def end_to_end(rounds: Rounds) -> Iterator[Sample]:
    """A hundred replies at a time, each written by StreamReply and watched by ten."""
    with stage() as at_work, contenders([GATEWAY], REPLIES) as (contender,):
        at_work.seat(contender, contender.topics, VIEWERS_EACH)
        for _ in rounds:
            yield _counted(at_work, contender, END_TO_END)


def _lose_connections(at_work: Stage, contender: Contender) -> None:
    time.sleep(TOKENS / TOKENS_A_SECOND / 2)
    at_work.crowd.rejoin(contender.name)


def _counted(
    at_work: Stage, contender: Contender, scenario: str, meanwhile: Callable[[Stage, Contender], None] | None = None
) -> Sample:
    run = next(at_work.runs)
    at_work.crowd.begin(contender.name, run, [TOKENS] * len(contender.topics))
    before = contender.cpu_seconds()
    with ThreadPoolExecutor(1) as writer:
        writing = writer.submit(_write, at_work, contender, run)
        if meanwhile:
            meanwhile(at_work, contender)
        writing.result()
    tally = at_work.crowd.finish(PATIENCE_SECONDS)
    spent = contender.cpu_seconds() - before
    return sample(scenario, TOKENS_A_SECOND * len(contender.topics), contender.name, tally, spent)


def _write(at_work: Stage, contender: Contender, run: int) -> None:
    topics = contender.topics
    if contender.service:
        names = [topic.name for topic in topics]
        asyncio.run(replies.write_all(contender.service, names, run, rate=TOKENS_A_SECOND, tokens=TOKENS))
        return
    events = TOKENS * len(topics)
    at_work.publisher.begin(contender.target, topics, run)
    at_work.publisher.publish(contender.target, topics, run, rate=TOKENS_A_SECOND * len(topics), events=events)
    at_work.publisher.end(contender.target, topics, run)
