"""The page: it loads nothing, titles are text and not markup, and every bar adds up to its score."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import TypeAlias

import pytest

from itemlens import Basis, EventType, Item, Recommendations
from itemlens_datasets.bundled import User
from itemlens_demo import page
from itemlens_demo.answers import Answer, ShownItem
from itemlens_demo.front_page import FrontPage
from itemlens_demo.newcomer import Newcomer
from itemlens_demo.story import Change, Did, Search, UserStory

Make: TypeAlias = Callable[..., Answer]

EVIL = "<script>alert('tea & cups')</script>"
VOID = {"meta", "img", "link", "br", "hr", "input"}


class Checker(HTMLParser):
    """Collects tags and text, and checks that tags are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.marked: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "mark" in self.open:
            self.marked.append(data)


NOTHING = Answer(Recommendations("r", "sp", (), (), 0, ()), ())
NO_SHOP = FrontPage(NOTHING, NOTHING)
NOBODY = Newcomer((), Basis.PRIOR, "", "", "", 9, 4, "a" * 64, "b" * 64, "a" * 64)


@pytest.fixture
def built(answer: Make, picture: bytes) -> str:
    of = answer(EVIL, "Cups & 茶 for <two>.", {"Cups": 0.2, "茶": 0.15, "for": 0.01})
    story = UserStory(
        User("user-<1>", "林 & Maya", ("tea",)),
        (
            Did(Item("past", attributes={"title": EVIL}), EventType.PURCHASE),
            Did(Item("other"), EventType.VIEW),
        ),
        ((0.7, (EVIL, "other")), (0.3, ("茶",))),
        of,
    )
    searches = [Search(EVIL, None, of), Search("this picture", picture, of)]
    change = Change("Maya", EVIL, ("a", EVIL), ("a", "茶"))
    return page.build(
        page.About(2, 3, "sp-<1>"),
        [story],
        FrontPage(of, replace(of, items=())),
        searches,
        change,
        replace(NOBODY, took=EVIL, first=(EVIL,), other=EVIL),
    )


@pytest.fixture
def parsed(built: str) -> Checker:
    checker = Checker()
    checker.feed(built)
    checker.close()
    assert not checker.open
    return checker


def test_titles_are_text(built: str, parsed: Checker) -> None:
    assert "<script" not in built
    assert not [tag for tag, _ in parsed.tags if tag == "script"]
    assert "&lt;script&gt;alert(&#x27;tea &amp; cups&#x27;)&lt;/script&gt;" in built
    assert "Because &lt;you&gt; asked." in built
    assert not re.search(r"\$[a-z]", built), "a placeholder is left"


def test_the_page_loads_nothing(built: str, parsed: Checker) -> None:
    assert not re.search(r"https?://|url\(|@import|<link", built)
    images = [attributes for tag, attributes in parsed.tags if tag == "img"]
    assert images
    for attributes in images:
        assert (attributes["src"] or "").startswith("data:image/webp;base64,")
        assert attributes["alt"]


def test_exactly_the_strong_words_are_marked(parsed: Checker) -> None:
    legend, words = parsed.marked[:4], parsed.marked[4:]
    assert len(legend) == 4
    assert words == ["Cups", "茶"] * 3, "one user and two searches show the same item"


def test_bars_and_figures_add_up_to_the_score(built: str, answer: Make) -> None:
    of = answer("Tea", "From Uji.", {"Uji": 0.2345})
    score = sum(of.items[0].terms.values())
    shown = page.build(
        page.About(1, 1, "sp"), [], NO_SHOP, [Search("tea", None, of)], Change("", "", (), ()), NOBODY
    )
    terms = re.search(r'<ul class="terms">(.*?)</ul>', shown)
    assert terms
    figures = [float(term.replace("−", "-")) for term in re.findall(r"([+−][0-9.]+)</li>", terms[1])]
    total = re.search(r"= ([−0-9.]+)<", terms[1])
    assert total and len(figures) == 3
    shown_score = float(total[1].replace("−", "-"))
    assert sum(figures) == pytest.approx(shown_score) == pytest.approx(score, abs=5e-4)
    stretches = re.findall(r'<i class="(.*?)" style="left:([0-9.]+)%;width:([0-9.]+)%">', shown)
    signed = sum(-float(width) if "minus" in name else float(width) for name, _, width in stretches)
    mark = re.search(r"calc\(([0-9.]+)% - 1px\)", shown)
    assert mark and signed == pytest.approx(float(mark[1]), abs=0.05)
    assert max(float(left) + float(width) for _, left, width in stretches) <= 100.01


def test_scores_below_zero_stay_on_the_bar(answer: Make) -> None:
    of = answer("Tea", "From Uji.", {"Uji": -0.3}, pictured=False)
    shown = page.build(
        page.About(1, 1, "sp"), [], NO_SHOP, [Search("tea", None, of)], Change("", "", (), ()), NOBODY
    )
    places = [float(left) for left in re.findall(r"left:(?:calc\()?(-?[0-9.]+)%", shown)]
    assert places and all(0 <= place <= 100 for place in places)
    assert "= −0.900" in shown


def test_chinese_text_has_its_language(built: str) -> None:
    assert '<h2 lang="zh">林 &amp; Maya</h2>' in built
    assert '<li lang="zh"><span class="came">茶</span></li>' in built


def test_an_item_without_picture_or_explanation(answer: Make) -> None:
    of = answer("Tea", "From Uji.", {"Uji": 0.3}, pictured=False)
    bare = replace(of, items=tuple(replace(item, explanation=None) for item in of.items))
    shown = page.build(
        page.About(1, 1, "sp"), [], NO_SHOP, [Search("tea", None, bare)], Change("", "", (), ()), NOBODY
    )
    assert "no picture" in shown and "Because." in shown


def test_an_empty_answer(answer: Make) -> None:
    empty = replace(answer("Tea", "", {}), items=())
    shown = page.build(
        page.About(0, 0, "sp"), [], NO_SHOP, [Search("tea", None, empty)], Change("", "", (), ()), NOBODY
    )
    assert '<div class="cards">' in shown


def test_what_is_left_of_somebody_is_said() -> None:
    change = Change("", "", (), ())
    shown = page.build(page.About(1, 1, "sp"), [], NO_SHOP, [], change, NOBODY)
    assert "place 9 to 4" in shown and "nothing is left" in shown
    left = page.build(page.About(1, 1, "sp"), [], NO_SHOP, [], change, replace(NOBODY, digest_after="c" * 64))
    assert "something is left" in left


def test_the_front_page_says_what_the_rules_of_the_shop_changed(answer: Make) -> None:
    of = answer("Mug", "Green.", {"Green": 0.3}, pictured=False)
    [mug] = of.items

    def variant(item_id: str, *, in_stock: bool) -> ShownItem:
        attributes = {"price": 27.0, "brand": "Alto", "model": "mug", "in_stock": in_stock}
        return replace(mug, item=replace(mug.item, item_id=item_id, attributes=attributes))

    plain = (variant("a", in_stock=True), variant("b", in_stock=False), variant("c", in_stock=False))
    best = replace(plain[0], recommendation=replace(mug.recommendation, others=("b", "c")))
    shop = FrontPage(replace(of, items=plain), replace(of, items=(best,)))
    shown = page.build(page.About(3, 0, "sp"), [], shop, [], Change("", "", (), ()), NOBODY)
    assert "2 of 3 places went to what is not in stock, and 2 to further colours or sizes" in shown
    assert "27 € · Alto · 2 more of the model" in shown
