"""This server's own limits, over the whole proxy in memory; the person at the terminal is a script."""

from __future__ import annotations

import msgspec
import pytest
import trio
from memory_network import post
from test_websocket import ask as ask_socket
from test_websocket import create, text_of, websocket
from world import World, chat, chat_text, error_of, events, messages

from copilot_trio.admission import Pace

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
HELLO = chat("SCENARIO:text REPLY=hello")


def responses(prompt: str, **fields: object) -> dict[str, object]:
    return {"model": "gpt-5-mini", "input": prompt, **fields}


async def leave(world: World, path: str, body: object, *, after: float) -> None:
    """Ask, and hang up after so many seconds."""
    client = await world.client()
    await post(client.stream, path, msgspec.json.encode(body))
    await trio.sleep(after)
    await client.stream.aclose()


# ---- so many seconds between two requests


@pytest.mark.parametrize(
    ("path", "body"), [(CHAT, HELLO), (MESSAGES, messages("hi")), (RESPONSES, responses("hi"))], ids=["c", "m", "r"]
)
async def test_the_first_is_free_and_what_comes_too_soon_is_refused_in_its_dialect(
    nursery: trio.Nursery, path: str, body: object
) -> None:
    world = World(nursery, pace=Pace(30, wait=False))
    assert (await world.ask(path, body)).status == 200
    await trio.sleep(10)
    refused = await world.ask(path, body)
    assert (refused.status, refused.headers["retry-after"]) == (429, "20")
    assert "--rate-limit" in str(error_of(refused)["message"])
    assert b"Nothing was charged." in refused.body
    assert refused.body.startswith(b'{"type":"error"') == (path == MESSAGES)
    await trio.sleep(20)
    assert (await world.ask(path, body)).status == 200
    assert len(world.calls()) + len(world.calls("/responses")) == 2


async def test_a_stream_is_refused_before_it_begins(nursery: trio.Nursery) -> None:
    world = World(nursery, pace=Pace(90, wait=False))
    await world.ask(CHAT, HELLO)
    refused = await world.ask(MESSAGES, messages("hi", stream=True))
    assert (refused.status, refused.headers["content-type"]) == (429, "application/json")
    assert refused.headers["x-should-retry"] == "false"  # over a minute: not worth a client's while


async def test_what_costs_nothing_is_not_held_up(nursery: trio.Nursery) -> None:
    world = World(nursery, pace=Pace(1000, wait=False))
    await world.ask(CHAT, HELLO)
    began = trio.current_time()
    assert (await world.ask_get("/v1/models")).status == 200
    assert (await world.ask("/v1/messages/count_tokens", messages("hi"))).status == 200
    assert (await world.ask("/v1/embeddings", {"model": "text-embedding-3-small", "input": "x"})).status == 200
    assert (await world.ask(CHAT, {"model": "gpt-4.1"})).status == 400  # and costs no turn either
    assert (await world.ask("/v1/responses/compact", responses("hi"))).status == 429
    assert trio.current_time() - began < 10


async def test_with_wait_each_has_its_turn_in_order(nursery: trio.Nursery) -> None:
    world = World(nursery, pace=Pace(30, wait=True))
    done: list[tuple[int, float]] = []

    async def one(number: int) -> None:
        assert (await world.ask(CHAT, HELLO)).status == 200
        done.append((number, round(trio.current_time())))

    async with trio.open_nursery() as clients:
        for number in range(4):
            clients.start_soon(one, number)
            await trio.sleep(1)
    assert done == [(0, 0), (1, 30), (2, 60), (3, 90)]


async def test_who_leaves_while_waiting_gives_the_place_back(nursery: trio.Nursery) -> None:
    world = World(nursery, pace=Pace(30, wait=True))
    await world.ask(CHAT, HELLO)
    nursery.start_soon(lambda: leave(world, CHAT, HELLO, after=29))  # the next in turn
    await trio.sleep(0.1)
    nursery.start_soon(lambda: leave(world, CHAT, HELLO, after=5))
    await trio.sleep(0.1)
    assert (await world.ask(CHAT, HELLO)).status == 200
    assert round(trio.current_time()) == 30
    assert len(world.calls()) == 2


async def test_a_stream_that_waits_gives_signs_of_life(nursery: trio.Nursery) -> None:
    world = World(nursery, pace=Pace(35, wait=True))
    await world.ask(CHAT, HELLO)
    answer = await world.ask(MESSAGES, messages("SCENARIO:text REPLY=hello", stream=True))
    assert [event.name for event in events(answer.body)][:4] == ["ping", "ping", "ping", "message_start"]
    answer = await world.ask(CHAT, chat("SCENARIO:text REPLY=hello", stream=True))
    assert chat_text(answer.body) == "hello"


async def test_a_frame_of_a_websocket_counts_as_a_request(nursery: trio.Nursery) -> None:
    world = World(nursery, pace=Pace(30, wait=False))
    async with websocket(world) as socket:
        assert text_of(await ask_socket(socket, create("SCENARIO:text REPLY=hello"))) == "hello"
        (refused,) = await ask_socket(socket, create("hi"))
        assert (refused["status"], refused["headers"]["retry-after"]) == (429, "30")
        await trio.sleep(30)
        assert text_of(await ask_socket(socket, create("SCENARIO:text REPLY=hello"))) == "hello"


async def test_the_wait_is_not_counted_as_our_own_time(nursery: trio.Nursery) -> None:
    world = World(nursery, pace=Pace(30, wait=True))
    await world.ask(CHAT, HELLO)
    answer = await world.ask(CHAT, HELLO)
    assert float(answer.headers["x-copilot-trio-overhead-ms"]) < 1000


# ---- a person's yes


class Script:
    """Answers question by question, each after a while. Nothing left to say: nobody answers for ever."""

    def __init__(self, *answers: str | None, after: float = 0.0) -> None:
        self.answers = list(answers)
        self.questions: list[str] = []
        self.withdrawn = 0
        self.asking = 0
        self._after = after

    async def ask(self, question: str, /) -> str | None:
        self.questions.append(question)
        self.asking += 1
        assert self.asking == 1
        try:
            await trio.sleep(self._after if self.answers else float("inf"))
            return self.answers.pop(0)
        except trio.Cancelled:
            self.withdrawn += 1
            raise
        finally:
            self.asking -= 1


async def test_a_yes_lets_it_go_and_the_question_says_what_is_asked(nursery: trio.Nursery) -> None:
    person = Script("Y")
    world = World(nursery, approve=person)
    body = messages("a secret: ghp_0123456789abcdefghij0123456789abcdef\n\x1b[2J" + "tell me more " * 100)
    assert (await world.ask(MESSAGES, body)).status == 200
    (question,) = person.questions
    assert question.startswith("POST /v1/messages for gpt-4.1, 1.4 KiB, by the accounts of github.com/individual\n")
    assert "a secret: ghp_*** [2Jtell me more tell me" in question
    assert all(line.isprintable() for line in question.split("\n"))
    assert len(question) < 450


@pytest.mark.parametrize("answer", ["n", "No", None], ids=["n", "no", "nobody"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_no_refuses_it(nursery: trio.Nursery, *, answer: str | None, stream: bool) -> None:
    world = World(nursery, approve=Script(answer))
    refused = await world.ask(MESSAGES, messages("hi", stream=stream))
    assert (refused.status, refused.headers["x-should-retry"]) == (403, "false")
    assert "did not allow" in str(error_of(refused)["message"])
    assert world.calls() == []


async def test_what_is_neither_is_asked_again_and_all_ends_the_questions(nursery: trio.Nursery) -> None:
    person = Script("", "perhaps", "a")
    world = World(nursery, approve=person)
    assert (await world.ask(CHAT, HELLO)).status == 200
    assert len(person.questions) == 3
    assert person.questions[2].startswith("y sends it")
    assert (await world.ask(CHAT, HELLO)).status == 200
    assert len(person.questions) == 3


async def test_one_question_at_a_time_and_all_answers_those_that_wait(nursery: trio.Nursery) -> None:
    person = Script("y", "a", after=5)
    world = World(nursery, approve=person)
    statuses: list[int] = []

    async def one() -> None:
        statuses.append((await world.ask(CHAT, HELLO)).status)

    async with trio.open_nursery() as clients:
        for _ in range(4):
            clients.start_soon(one)
    assert statuses == [200] * 4
    assert len(person.questions) == 2


async def test_who_leaves_withdraws_the_question_and_the_next_is_asked(nursery: trio.Nursery) -> None:
    person = Script("y", after=20)
    world = World(nursery, approve=person)
    nursery.start_soon(lambda: leave(world, CHAT, chat("first"), after=5))
    await trio.sleep(0.1)
    nursery.start_soon(lambda: leave(world, CHAT, chat("second"), after=3))
    await trio.sleep(0.1)
    assert (await world.ask(CHAT, chat("third"))).status == 200
    assert person.withdrawn == 1
    assert [question.split("\n")[1] for question in person.questions] == ["  first", "  third"]
    assert len(world.calls()) == 1


async def test_a_stream_that_waits_for_a_person_gives_signs_of_life_and_ends_in_its_dialect(
    nursery: trio.Nursery,
) -> None:
    world = World(nursery, approve=Script("n", after=25))
    answer = await world.ask(MESSAGES, messages("hi", stream=True))
    assert answer.status == 200
    assert [event.name for event in events(answer.body)] == ["ping", "ping", "error"]
    assert b"did not allow" in answer.body


async def test_nobody_is_asked_about_what_is_refused_anyway(nursery: trio.Nursery) -> None:
    person = Script("y", "y", "y")
    world = World(nursery, approve=person, pace=Pace(30, wait=False))
    assert (await world.ask(CHAT, HELLO)).status == 200
    assert (await world.ask(CHAT, HELLO)).status == 429
    assert (await world.ask(CHAT, {"model": "gpt-4.1"})).status == 400
    assert (await world.ask("/v1/messages/count_tokens", messages("hi"))).status == 200
    assert len(person.questions) == 1


async def test_those_that_were_allowed_together_do_not_start_together(nursery: trio.Nursery) -> None:
    world = World(nursery, approve=Script("y", "y"), pace=Pace(30, wait=True))
    ends: list[int] = []

    async def one() -> None:
        await world.ask(CHAT, HELLO)
        ends.append(round(trio.current_time()))

    async with trio.open_nursery() as clients:
        clients.start_soon(one)
        clients.start_soon(one)
    assert ends == [0, 30]


async def test_codex_gets_a_no_in_its_stream(nursery: trio.Nursery) -> None:
    world = World(nursery, approve=Script("n"))
    answer = await world.ask(RESPONSES, responses("hi", stream=True), ("originator", "codex_cli_rs"))
    assert answer.status == 200
    assert b'"response.failed"' in answer.body
