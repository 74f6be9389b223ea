"""What a viewer of one session sees, whichever way the gateway follows it."""

import asyncio

import httpx
import pytest
from ai_chat_client import ROLE_ASSISTANT, ROLE_USER, AsyncClient, Message
from integration.gateway.conftest import Deployment
from support.web_viewer import WebViewer


async def say(chat: AsyncClient, name: str, *contents: str) -> str:
    """Appends user messages; returns the position of the last."""
    appended = await chat.append_messages(name, [Message(role=ROLE_USER, content=text) for text in contents])
    return appended.position


async def test_a_message_is_seen_as_it_comes_and_says_where_to_resume(
    deployment: Deployment, chat: AsyncClient, name: str
) -> None:
    await say(chat, name, "before")
    async with WebViewer(deployment.address, name) as viewer:
        position = await say(chat, name, "hello")

        await viewer.until_contents("hello")

    [event] = viewer.events
    assert (event["type"], event["position"], viewer.ids) == ("user", position, [position])
    assert event["payload"]["sequence"] == 2
    assert event["payload"]["role"] == "user"


async def test_the_first_frame_carries_the_head(deployment: Deployment, chat: AsyncClient, name: str) -> None:
    position = await say(chat, name, "before")

    async with WebViewer(deployment.address, name) as viewer:
        assert (viewer.last_id, viewer.retry) == (position, 2000)


async def test_an_answer_is_a_message_with_all_it_was_given(
    deployment: Deployment, chat: AsyncClient, name: str
) -> None:
    async with WebViewer(deployment.address, name) as viewer:
        message = Message(
            id="m-1", role=ROLE_ASSISTANT, content="4\n2", author="hal", model="9000", attributes='{"a":\n1.50}'
        )
        await chat.append_messages(name, [message])

        payload = (await viewer.until_type("message"))["payload"]

    assert payload.pop("timestamp") > 0
    assert payload == {
        "id": "m-1",
        "sequence": 1,
        "role": "assistant",
        "content": "4\n2",
        "author": "hal",
        "model": "9000",
        "attributes": {"a": 1.5},
    }


async def test_messages_appended_together_come_one_by_one_in_order(
    deployment: Deployment, chat: AsyncClient, name: str
) -> None:
    contents = [f"message {number}" for number in range(150)]
    async with WebViewer(deployment.address, name) as viewer:
        await say(chat, name, *contents)

        await viewer.until_contents(*contents)


async def test_whoever_was_away_gets_what_it_missed_and_nothing_twice(
    deployment: Deployment, chat: AsyncClient, name: str
) -> None:
    async with WebViewer(deployment.address, name) as viewer:
        await say(chat, name, "one")
        await viewer.until_contents("one")
        last_id = viewer.last_id
    await say(chat, name, "two", "three")

    async with WebViewer(deployment.address, name, last_event_id=last_id) as viewer:
        await say(chat, name, "four")

        await viewer.until_contents("two", "three", "four")


async def test_what_is_older_than_the_gateway_remembers_is_read_from_the_store(
    deployment: Deployment, chat: AsyncClient, name: str
) -> None:
    contents = [f"message {number}" for number in range(700)]
    first = await say(chat, name, *contents[:1])
    await say(chat, name, *contents[1:])

    async with WebViewer(deployment.address, name, after=first) as viewer:
        await viewer.until_contents(*contents[1:])


async def test_an_empty_after_begins_with_the_first_message(
    deployment: Deployment, chat: AsyncClient, name: str
) -> None:
    await say(chat, name, "one", "two")

    async with WebViewer(deployment.address, name, after="") as viewer:
        await viewer.until_contents("one", "two")


async def test_last_event_id_wins_over_after(deployment: Deployment, chat: AsyncClient, name: str) -> None:
    first = await say(chat, name, "one")
    await say(chat, name, "two")

    async with WebViewer(deployment.address, name, after="", last_event_id=first) as viewer:
        await viewer.until_contents("two")


@pytest.mark.parametrize("wrong", ["garbage", "zzzzzzzzzz.1", "00000000zz.1", "future"])
async def test_a_position_of_no_use_is_answered_with_a_reset_at_the_head(
    deployment: Deployment, chat: AsyncClient, name: str, wrong: str
) -> None:
    head = await say(chat, name, "one")
    last_event_id = head.split(".")[0] + ".99" if wrong == "future" else wrong

    async with WebViewer(deployment.address, name, last_event_id=last_event_id) as viewer:
        await viewer.until_type("reset")
        await say(chat, name, "two")
        await viewer.until_contents("two")

    assert viewer.types == ["reset", "user"]
    assert viewer.ids[0] == viewer.events[0]["position"] == head


async def test_a_position_that_the_gateway_has_not_heard_of_yet_is_no_future(
    deployment: Deployment, chat: AsyncClient, name: str
) -> None:
    """A page reads history from the store, which may be ahead of the gateway by a moment."""
    async with WebViewer(deployment.address, name):
        for number in range(20):
            position = await say(chat, name, str(number))
            async with WebViewer(deployment.address, name, after=position) as viewer:
                assert viewer.last_id == position
                assert viewer.types == []


async def test_clear_truncate_and_rename_are_told(deployment: Deployment, chat: AsyncClient, name: str) -> None:
    async with WebViewer(deployment.address, name) as viewer:
        await say(chat, name, "one", "two", "three")
        await chat.truncate_session(name, remove_last=2)
        await chat.update_session(name, title="A title")
        cleared = await chat.clear_session(name)
        await say(chat, name, "again")
        await viewer.until_contents("one", "two", "three", "again")

    assert viewer.types == ["user", "user", "user", "truncate", "updated", "clear", "user"]
    assert viewer.events[3]["payload"]["keep"] == 1
    assert viewer.events[4]["payload"]["title"] == "A title"
    assert viewer.ids[5] == cleared.position


async def test_a_session_that_is_deleted_is_followed_into_its_next_life(
    deployment: Deployment, chat: AsyncClient, name: str
) -> None:
    await say(chat, name, "one")
    async with WebViewer(deployment.address, name) as viewer:
        await chat.delete_session(name)
        await viewer.until_type("deleted")
        await say(chat, name, "reborn")
        await viewer.until_contents("reborn")

    assert viewer.types == ["deleted", "user"]
    assert viewer.events[1]["payload"]["sequence"] == 1


async def test_a_session_that_does_not_exist_is_followed_all_the_same(
    deployment: Deployment, chat: AsyncClient, name: str
) -> None:
    async with WebViewer(deployment.address, name) as viewer:
        await say(chat, name, "first")

        await viewer.until_contents("first")


async def test_whoever_resumes_a_session_deleted_meanwhile_is_told(
    deployment: Deployment, chat: AsyncClient, name: str
) -> None:
    position = await say(chat, name, "one")
    await chat.delete_session(name)

    async with WebViewer(deployment.address, name, last_event_id=position) as viewer:
        await viewer.until_type("deleted")
        last_id = viewer.last_id
    await say(chat, name, "reborn")

    async with WebViewer(deployment.address, name, last_event_id=last_id) as viewer:
        await viewer.until_contents("reborn")


async def test_changes_to_the_list_come_on_the_same_connection(
    deployment: Deployment, chat: AsyncClient, name: str
) -> None:
    async with WebViewer(deployment.address, name, list="1") as viewer:
        other = f"{name}-other"
        await chat.create_session(other, title="Another")
        await chat.delete_session(other)
        await viewer.until(lambda: ("deleted", other) in changes(viewer), "the deletion")
        await say(chat, name, "hello")
        await viewer.until_contents("hello")

    assert ("created", other) in changes(viewer)
    assert all(
        own_id == "" for event, own_id in zip(viewer.events, viewer.ids, strict=True) if event["type"] == "session"
    )


def changes(viewer: WebViewer) -> list[tuple[str, str]]:
    """What the viewer was told of the list."""
    told = [event["payload"] for event in viewer.events if event["type"] == "session"]
    return [(payload["change"], payload["session"]["name"]) for payload in told]


async def test_the_list_alone_can_be_followed(deployment: Deployment, chat: AsyncClient, name: str) -> None:
    async with WebViewer(deployment.address, list="1") as viewer:
        await chat.create_session(name)

        await viewer.until(lambda: ("created", name) in changes(viewer), "the creation")


async def test_many_who_come_at_once_see_all(deployment: Deployment, chat: AsyncClient, name: str) -> None:
    contents = [str(number) for number in range(60)]

    async def watch(after: str) -> list[str]:
        async with WebViewer(deployment.address, name, after=after) as viewer:
            await viewer.until(lambda: len(viewer.contents) >= len(contents), "all messages")
            return viewer.contents

    async with asyncio.TaskGroup() as group:
        watching = [group.create_task(watch("")) for _ in range(40)]
        for content in contents:
            await say(chat, name, content)

    assert all(task.result() == contents for task in watching)


async def test_without_a_session_or_the_list_there_is_nothing_to_stream(web: httpx.AsyncClient) -> None:
    answer = await web.get("/api/stream")

    assert (answer.status_code, answer.json()["reason"]) == (400, "INVALID_FIELD")


async def test_a_name_that_no_session_can_have_is_refused(web: httpx.AsyncClient) -> None:
    for wrong in ("x" * 257, "tab\there", "line\n"):
        answer = await web.get("/api/stream", params={"session": wrong})
        assert (answer.status_code, answer.json()["reason"]) == (400, "INVALID_NAME")
