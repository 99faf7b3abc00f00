"""Open streams: which ones end, when, and with which message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable

import pytest

from itemlens_server.errors import Overloaded, Unavailable
from itemlens_server.rpc.streams import OpenStream, OpenStreams

LONG = 1000.0


def alone(idle_seconds: float = LONG) -> OpenStream:
    """A stream of a server without others."""
    return OpenStream(OpenStreams(1, idle_seconds), "caller")


async def never() -> None:
    await asyncio.Event().wait()


async def until(event: asyncio.Event) -> None:
    await event.wait()


async def silence() -> AsyncIterator[str]:
    await asyncio.Event().wait()
    yield "never"


async def one() -> AsyncIterator[str]:
    yield "request"


async def begun(waiting: Awaitable[object]) -> asyncio.Future[object]:
    """A future of `waiting`, returned when it waits."""
    task = asyncio.ensure_future(waiting)
    await asyncio.sleep(0)
    return task


def test_requests_are_read_up_to_the_end() -> None:
    async def read() -> list[str | None]:
        stream, requests = alone(), one()
        return [await stream.read(requests), await stream.read(requests)]

    assert asyncio.run(read()) == ["request", None]


@pytest.mark.parametrize("what", ["read", "write"])
def test_an_idle_stream_ends_with_its_reason(what: str) -> None:
    async def idle() -> None:
        streams = alone(0.01)
        await (streams.read(silence()) if what == "read" else streams.write(never()))

    with pytest.raises(Unavailable, match=r"idle for 0\.01 seconds"):
        asyncio.run(idle())


def test_each_new_stream_past_the_limit_ends_the_one_that_waits_longest() -> None:
    async def fill() -> None:
        streams = OpenStreams(2, LONG)
        with streams.opened("a") as one, streams.opened("a") as other:
            with pytest.raises(Overloaded, match="2 streams are open"), streams.opened("a"):
                pass
            first = await begun(one.read(silence()))
            second = await begun(other.write(never()))
            for ended, stays in ((first, second), (second, None)):
                with streams.opened("a"):
                    with pytest.raises(Unavailable, match="idle longest"):
                        await ended
                    assert stays is None or not stays.done()

    asyncio.run(fill())


def test_a_caller_with_many_streams_loses_its_own_and_not_those_of_others() -> None:
    async def fill() -> None:
        streams = OpenStreams(3, LONG)
        with (
            streams.opened("quiet") as quiet,
            streams.opened("loud") as loud,
            streams.opened("loud") as louder,
        ):
            oldest = await begun(quiet.read(silence()))
            ended = await begun(loud.read(silence()))
            stays = await begun(louder.read(silence()))
            with streams.opened("loud"):
                with pytest.raises(Unavailable, match="idle longest"):
                    await ended
                assert not oldest.done() and not stays.done()

    asyncio.run(fill())


def test_a_caller_whose_streams_are_busy_gets_no_room_from_others() -> None:
    async def fill() -> None:
        streams = OpenStreams(3, LONG)
        with streams.opened("quiet") as quiet, streams.opened("loud"), streams.opened("loud"):
            waiting = await begun(quiet.read(silence()))
            with pytest.raises(Overloaded), streams.opened("loud"):
                pass
            assert not waiting.done()
            with streams.opened("new"), pytest.raises(Unavailable):
                await waiting

    asyncio.run(fill())


def test_a_stop_ends_what_waits_for_a_request_and_lets_answers_be_sent() -> None:
    async def stop() -> None:
        streams, sent = OpenStreams(2, LONG), asyncio.Event()
        stream = OpenStream(streams, "a")
        reading = await begun(stream.read(silence()))
        writing = await begun(stream.write(until(sent)))
        streams.stop()
        with pytest.raises(Unavailable, match="server is stopping"):
            await reading
        with pytest.raises(Unavailable, match="server is stopping"):
            await stream.read(one())
        sent.set()
        await writing

    asyncio.run(stop())


def test_a_cancelled_call_is_not_a_timeout() -> None:
    async def hang_up() -> None:
        reading = await begun(alone().read(silence()))
        reading.cancel()
        await reading

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(hang_up())
