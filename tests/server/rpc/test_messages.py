"""The services' names match those of the protos."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from itemlens.v1 import common_pb2
from itemlens_server.attributes.schema import FIRST_SECOND, LAST_SECOND
from itemlens_server.engine.modalities import MODALITIES
from itemlens_server.fusion.parts import Part
from itemlens_server.fusion.scoring import NORMALISATION
from itemlens_server.fusion.terms import TERMS
from itemlens_server.rpc import boosts, messages
from itemlens_server.services import Boost, Linear


def test_every_kind_of_part_is_in_the_contract_and_the_other_way_round() -> None:
    kinds = {kind for term in TERMS for kind in term.kinds}
    kinds |= {kind for m in MODALITIES.values() for kind in (m.place, *m.other_places)}
    kinds.add(NORMALISATION)
    named = {name.removeprefix("PART_KIND_") for name in common_pb2.PartKind.DESCRIPTOR.values_by_name} - {
        "UNSPECIFIED"
    }
    assert kinds == named
    for kind in kinds:
        assert messages.part(Part(kind)).kind == common_pb2.PartKind.Value(f"PART_KIND_{kind}")


class TestDecoded:
    def test_reads_nothing_for_its_length(self) -> None:
        assert len(messages.Decoded([1, 2], int.__invert__)) == 2

    def test_decodes_each_message_once_and_only_those_that_are_read(self) -> None:
        read: list[int] = []

        def decode(n: int) -> int:
            read.append(n)
            return -n

        decoded = messages.Decoded([1, 2, 3], decode)
        assert next(iter(decoded)) == -1 and read == [1]
        assert list(decoded) == [-1, -2, -3] == decoded[:] and decoded[2] == -3
        assert read == [1, 2, 3]


LAST = math.nextafter(LAST_SECOND, 0)


@given(st.floats(FIRST_SECOND, LAST))
@example(float(FIRST_SECOND))
@example(LAST)
@example(0.9999999)
@example(-1e-20)
def test_every_time_of_the_contract_is_sent_to_the_microsecond_and_stays_the_same(at: float) -> None:
    sent = messages.timestamp(at)
    assert sent is not None
    again = messages.seconds(sent)
    assert again == pytest.approx(at, rel=0, abs=1e-6)
    resent = messages.timestamp(again)
    assert resent is not None and messages.seconds(resent) == again


def test_a_boost_of_the_last_moment_of_the_contract_is_told() -> None:
    boost = Boost("b", "a", Linear(1.0), from_time=LAST)
    boost.check()
    [told] = boosts.boosts([boosts.message(boost)])
    assert told == boost
    assert messages.timestamp(None) is None
