"""Values of attributes: which count, and how much sharing one says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.fusion.attributes import GROWTH, LONGEST, MOST_VALUES, Vocabulary, values_of


class TestValues:
    def test_are_pairs_of_attribute_and_content(self) -> None:
        found = values_of({"brand": "Alto", "sale": True, "tags": ["a", "b", "a"]})
        assert found == ["brand=Alto", "sale=True", "tags=a", "tags=b"]

    def test_of_two_attributes_differ(self) -> None:
        assert set(values_of({"a": "x"})).isdisjoint(values_of({"b": "x"}))

    @pytest.mark.parametrize("content", ["", "x" * (LONGEST + 1), 3, 2.5, None, {"a": "b"}, [["a"]], [1, 2]])
    def test_numbers_descriptions_and_nested_contents_are_none(self, content: object) -> None:
        assert values_of({"a": content}) == []

    def test_are_at_most_so_many(self) -> None:
        assert len(values_of({"tags": [str(n) for n in range(1000)]})) == MOST_VALUES


class TestIdf:
    def test_is_the_logarithm_of_how_rare_a_value_is(self) -> None:
        vocabulary = Vocabulary()
        codes = [vocabulary.add({"brand": brand}) for brand in ("x", "x", "x", "y", "y", "z")]
        x, y, z = codes[0][0], codes[3][0], codes[5][0]
        assert vocabulary.idf[[x, y]].tolist() == pytest.approx([math.log(6 / 3), math.log(6 / 2)])
        assert vocabulary.idf[z] == 0.0  # shared with nobody
        assert vocabulary.idf[0] == 0.0  # no value

    def test_items_without_values_do_not_count(self) -> None:
        vocabulary = Vocabulary()
        [x] = vocabulary.add({"brand": "x"})
        vocabulary.add({"brand": "x"})
        vocabulary.add({"price": 3})
        assert vocabulary.idf[x] == 0.0  # both of the items with values have it

    def test_stands_still_while_the_number_of_items_changes_little(self) -> None:
        vocabulary = Vocabulary()
        for n in range(100):
            vocabulary.add({"brand": "xyzuv"[n % 5]})
        before = vocabulary.idf
        for _ in range(9):
            vocabulary.add({"brand": "x"})
        assert vocabulary.idf is before
        kept = before.copy()
        for _ in range(5):
            vocabulary.add({"brand": "x"})
        assert vocabulary.idf is not before
        np.testing.assert_array_equal(before, kept)  # snapshots that have it keep it

    def test_a_new_value_does_not_change_the_others(self) -> None:
        vocabulary = Vocabulary()
        codes = [vocabulary.add({"brand": "xyzuv"[n % 5]})[0] for n in range(100)]
        before = vocabulary.idf[codes].tolist()
        [new] = vocabulary.add({"brand": "new"})
        assert vocabulary.idf[codes].tolist() == before and vocabulary.idf[new] == 0.0

    @given(
        st.lists(
            st.one_of(
                st.tuples(st.sampled_from("abcd"), st.lists(st.sampled_from("uvwxyz"), unique=True)),
                st.sampled_from("abcd"),
            ),
            max_size=40,
        )
    )
    def test_is_that_of_the_items_that_are_there(self, steps: list[tuple[str, list[str]] | str]) -> None:
        # Items are put, replaced and removed; the counts are those of a vocabulary that saw only the last ones.
        vocabulary, items, codes = Vocabulary(), dict[str, list[str]](), dict[str, list[int]]()
        for step in steps:
            item_id = step if isinstance(step, str) else step[0]
            vocabulary.discard(codes.pop(item_id, []))
            items.pop(item_id, None)
            if not isinstance(step, str):
                items[item_id] = step[1]
                codes[item_id] = vocabulary.add({"tags": step[1]})
        there = [tags for tags in items.values() if tags]
        idf = vocabulary.idf
        measured = vocabulary._measured
        assert len(there) / GROWTH <= measured <= max(len(there), 1) * GROWTH or not there
        for item_id, own in codes.items():
            for code, tag in zip(own, items[item_id], strict=True):
                assert code and len(idf) > code
                if measured == len(there) and len(steps) == len(items):
                    count = sum(tag in tags for tags in there)
                    expected = math.log(len(there) / count) if count > 1 else 0.0
                    assert idf[code] == pytest.approx(expected, abs=1e-6)
