from __future__ import annotations

import trio
import trio.testing

from copilot_trio.feed import Feed


async def test_who_follows_gets_what_comes() -> None:
    feed: Feed[int] = Feed(3)
    feed.put(0)
    with feed.follow() as follower:
        feed.put(1)
        feed.put(2)
        assert await follower.next() == ([1, 2], 0)
        feed.put(3)
        assert await follower.next() == ([3], 0)
    assert feed.entries() == [1, 2, 3]


async def test_with_history_it_begins_with_what_is_kept() -> None:
    feed: Feed[int] = Feed(3)
    for number in range(5):
        feed.put(number)
    with feed.follow(history=True) as follower:
        assert await follower.next() == ([2, 3, 4], 0)


async def test_who_is_too_slow_is_told_how_much_it_missed() -> None:
    feed: Feed[int] = Feed(3)
    with feed.follow() as slow, feed.follow() as quick:
        for number in range(5):
            feed.put(number)
            assert await quick.next() == ([number], 0)
        assert await slow.next() == ([2, 3, 4], 2)
        feed.put(5)
        assert await slow.next() == ([5], 0)


async def test_a_wait_ends_with_the_next_entry_from_any_thread(nursery: trio.Nursery) -> None:
    feed: Feed[str] = Feed(3)
    got: list[str] = []

    async def follow() -> None:
        with feed.follow() as follower:
            while len(got) < 2:
                got.extend((await follower.next())[0])

    nursery.start_soon(follow)
    await trio.testing.wait_all_tasks_blocked()
    await trio.to_thread.run_sync(feed.put, "from a thread")
    await trio.testing.wait_all_tasks_blocked()
    feed.put("from here")
    await trio.testing.wait_all_tasks_blocked()
    assert got == ["from a thread", "from here"]


async def test_a_wait_that_is_broken_off_loses_nothing() -> None:
    feed: Feed[int] = Feed(3)
    with feed.follow() as follower:
        with trio.move_on_after(1) as patience:
            await follower.next()
        assert patience.cancelled_caught
        feed.put(1)
        assert await follower.next() == ([1], 0)


async def test_followers_are_counted_while_they_follow() -> None:
    feed: Feed[int] = Feed(3)
    with feed.follow(), feed.follow():
        assert feed.followers == 2
    assert feed.followers == 0
    feed.put(1)  # of whom nobody is woken


def test_entries_may_come_after_the_loop_has_ended() -> None:
    feed: Feed[int] = Feed(3)
    still = feed.follow()

    async def follow() -> None:
        still.__enter__()

    trio.run(follow)
    feed.put(1)
    still.__exit__(None, None, None)
    assert feed.entries() == [1]
