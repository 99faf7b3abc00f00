"""How much memory and disk a server takes: the sums of `sizing`, and that they know the server's own constants."""

from __future__ import annotations

from dataclasses import replace

import pytest

from itemlens_server import sizing
from itemlens_server.config import Settings
from itemlens_server.fusion import ease, sequence, tables_process, taken
from itemlens_server.fusion.counts import events, successions
from itemlens_server.index import graph
from itemlens_server.services import known_users
from itemlens_server.sizing import Channel, Shop, Size, size
from itemlens_server.storage import connection, reserve

ITEMS = Shop(items=50_000, channels=[Channel(384)], fitted=False)
DENSE = Shop(items=3_000, channels=[Channel(64)], users=5_000, events=300_000)
MANY = replace(DENSE, items=30_000)


def sized(shop: Shop, **settings: int | bool) -> Size:
    return size(shop, Settings().model_copy(update=settings))


def part(found: Size, name: str) -> sizing.Part:
    [own] = [p for p in (*found.parts, *found.moments) if p.name == name]
    return own


def test_the_totals_are_sums_of_the_parts() -> None:
    found = sized(DENSE)
    assert found.memory == sum(own.memory for own in found.parts)
    assert found.peak == found.memory + max(moment.memory for moment in found.moments)
    assert found.disk == sum(own.disk for own in found.parts)
    assert found.disk_peak > found.disk


def test_an_item_has_a_vector_of_4_bytes_a_number_in_its_row_and_in_a_graph() -> None:
    once, twice = sized(ITEMS), sized(replace(ITEMS, channels=[Channel(768)]))
    more = 50_000 * 384 * 4
    assert part(twice, "vectors").memory - part(once, "vectors").memory == more
    assert part(twice, "graphs").memory - part(once, "graphs").memory == more


def test_channels_add_up() -> None:
    one, two = sized(ITEMS), sized(replace(ITEMS, channels=[Channel(384), Channel(384)]))
    assert part(two, "graphs").memory == 2 * part(one, "graphs").memory


def test_equal_contents_share_a_node_and_a_stored_vector() -> None:
    equal = sized(replace(ITEMS, channels=[Channel(384, share=0.5)]))
    assert part(equal, "graphs").memory < 0.6 * part(sized(ITEMS), "graphs").memory
    assert part(equal, "vectors").disk < 0.6 * part(sized(ITEMS), "vectors").disk
    assert part(equal, "vectors").memory == part(sized(ITEMS), "vectors").memory


def test_a_fit_predicts_the_vectors_that_items_lack() -> None:
    pictures = [Channel(384), Channel(256, share=0.5)]
    plain, fitted = (sized(replace(ITEMS, channels=pictures, fitted=own)) for own in (False, True))
    assert part(fitted, "graphs").memory > part(plain, "graphs").memory


def test_few_items_have_no_graph() -> None:
    assert part(sized(replace(ITEMS, items=2_000)), "graphs").memory == 0
    assert part(sized(replace(ITEMS, items=2_000), segment_rows=1_000), "graphs").memory > 0


def test_pairs_have_6_bytes_in_matrices() -> None:
    assert part(sized(DENSE), "pairs of items").memory == 6 * 3_000**2


def test_more_items_than_matrices_have_room_for_need_none_but_are_counted_in_them_at_first() -> None:
    assert part(sized(MANY), "pairs of items").memory == 0
    few, many = (part(sized(MANY, matrix_items=n), "while a fit is taken over").memory for n in (0, 20_000))
    assert many > few + 1_000_000_000


def test_items_without_events_are_in_no_pair() -> None:
    assert sized(replace(MANY, taken=3_000)).parts[9] == part(sized(DENSE), "pairs of items")


@pytest.mark.parametrize("nothing", [replace(DENSE, fitted=False), replace(DENSE, events=0, users=0)])
def test_without_a_fit_or_events_no_pairs_count(nothing: Shop) -> None:
    for name in ("pairs of items", "process for tables", "while tables are computed"):
        assert part(sized(nothing), name).memory == 0


def test_the_peak_of_a_fitted_collection_is_when_it_moves() -> None:
    fitted = sized(replace(ITEMS, fitted=True))
    assert fitted.peak == fitted.memory + part(fitted, "while a fit is taken over").memory
    assert sized(ITEMS).peak < fitted.peak


def test_encoders_are_in_memory_twice_with_low_latency_sessions() -> None:
    shop = replace(ITEMS, models=100_000_000)
    once, twice = (sized(shop, low_latency_sessions=own) for own in (False, True))
    assert part(twice, "encoders").memory - part(once, "encoders").memory == 110_000_000
    assert part(sized(ITEMS), "encoders").memory == 0


def test_caches_are_bounded_by_their_settings_and_by_what_there_is_to_keep() -> None:
    def caches(shop: Shop, **settings: int) -> int:
        return part(sized(shop, recommendation_memory_bytes=0, **settings), "caches, answers").memory

    assert caches(DENSE, user_memory_bytes=1_000_000) == 1_000_000
    assert caches(replace(DENSE, users=10, events=10), user_memory_bytes=1_000_000) == 10 * (290 + 300)
    pages = part(sized(replace(ITEMS, items=10)), "pages of the store")
    assert pages.memory < 100_000 < part(sized(ITEMS), "pages of the store").memory == 64 << 20


def test_the_limit_of_memory_has_a_margin_and_is_round() -> None:
    found = sized(DENSE)
    assert 1.2 * found.peak <= found.memory_limit < 1.2 * found.peak + (256 << 20)
    assert found.memory_limit % (256 << 20) == 0
    assert found.volume >= 2 * found.disk_peak


def test_cores_follow_from_calls() -> None:
    assert sizing.cores(0, 0, 0) == 2
    assert sizing.cores(300, 0, 0) == 15
    assert sizing.cores(300, 100, 1_000) == 19


def test_a_vector_takes_whole_pages_of_the_store() -> None:
    """A page of 4,096 bytes has room for two rows of 384 numbers, and for three of 256."""
    [large, small] = (sized(replace(ITEMS, channels=[Channel(dim)])) for dim in (384, 256))
    assert part(large, "vectors").disk - part(small, "vectors").disk == 50_000 * (2_048 - 1_365)


def test_the_constants_are_those_of_the_server() -> None:
    assert graph.M == sizing.LINKS
    assert events.EVENT.itemsize == sizing.EVENT
    assert ease.MAX_ITEMS == sizing.MOST_IN_EASE
    assert ease.KEPT_PER_ROW == sequence.KEPT_PER_ROW == sizing.KEPT_PER_ROW
    assert successions.HORIZON == sizing.SOON
    assert tables_process.WORTH_A_PROCESS == sizing.WORTH_A_PROCESS
    assert taken.MOST_PAST == sizing.MOST_PAST
    assert known_users.PAST_BYTES + known_users.SEEN_BYTES == sizing.PAST
    assert reserve.RESERVE_BYTES == sizing.RESERVE
    assert connection.JOURNAL_BYTES == sizing.JOURNAL
