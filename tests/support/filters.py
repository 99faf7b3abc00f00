"""Random filters and items, for laws of filters."""

from __future__ import annotations

from hypothesis import strategies as st

from itemlens_server.attributes.filters import (
    All,
    AnyOf,
    Compare,
    Filter,
    Has,
    Name,
    Not,
    OneOf,
)

TEXTS = st.sampled_from(["Alto", "Kaya", 'a "b"', "\\", ""])
NUMBERS = st.sampled_from([-1.5, 0, 1, 2.0, 59.99])
RANDOM_ITEM = st.fixed_dictionaries(
    {},
    optional={
        "price": NUMBERS | st.none(),
        "brand": TEXTS,
        "tags": st.lists(TEXTS, max_size=3),
        "in_stock": st.booleans(),
    },
)
OPS = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
LEAVES = st.one_of(
    st.builds(lambda op, v: Compare(Name("price"), op, v), OPS, NUMBERS),
    st.builds(lambda op, v: Compare(Name("brand"), op, v), st.sampled_from(["=", "!="]), TEXTS),
    st.builds(lambda op, v: Compare(Name("tags"), op, v), st.sampled_from(["=", "!="]), TEXTS),
    st.builds(lambda v: Compare(Name("in_stock"), "=", v), st.booleans()),
    st.builds(
        lambda n, v: OneOf(Name(n), tuple(v)), st.sampled_from(["brand", "tags"]), st.lists(TEXTS, min_size=1)
    ),
    st.builds(lambda v: OneOf(Name("price"), tuple(v)), st.lists(NUMBERS, min_size=1)),
    st.builds(lambda n: Has(Name(n)), st.sampled_from(["price", "brand", "tags", "in_stock"])),
)
TREES: st.SearchStrategy[Filter] = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        st.builds(Not, parts),
        st.builds(lambda p: All(tuple(p)), st.lists(parts, min_size=2, max_size=3)),
        st.builds(lambda p: AnyOf(tuple(p)), st.lists(parts, min_size=2, max_size=3)),
    ),
    max_leaves=8,
)
