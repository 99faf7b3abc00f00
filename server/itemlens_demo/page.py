"""The demo's page: one HTML file that needs nothing else. The pictures are inside."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template

from PIL import Image

from itemlens import EventType
from itemlens_datasets import bundled
from itemlens_demo import front_page
from itemlens_demo.answers import (
    NORMALISATION,
    Answer,
    Pieces,
    ShownItem,
    chinese,
    digits_of,
    evidence,
    figure,
    intensity,
    picture_of,
    rounded,
    spoken_shares,
    title_of,
)
from itemlens_demo.front_page import FrontPage
from itemlens_demo.newcomer import Newcomer
from itemlens_demo.story import DID, Change, Did, Search, UserStory

MOST_PAST = 16
MOST_NAMED = 4
_COLOURS = {"words": "words", "picture": "picture", NORMALISATION: "baseline"}


@dataclass(frozen=True)
class About:
    """The collection's numbers of items and events, and its space."""

    items: int
    events: int
    space_id: str


def build(
    about: About,
    users: Sequence[UserStory],
    shop: FrontPage,
    searches: Sequence[Search],
    change: Change,
    newcomer: Newcomer,
) -> str:
    """The page as HTML."""
    folder = files(__package__)
    links = [(story.user.user_id, story.user.name) for story in users]
    links += [
        ("shop", "A shop's front page"),
        ("change", "One more event"),
        ("newcomer", "Somebody new"),
        ("search", "Search"),
    ]
    return Template((folder / "page.html").read_text(encoding="utf-8")).substitute(
        style=(folder / "page.css").read_text(encoding="utf-8"),
        about=f"{about.items:,} items and {about.events:,} events. {escape(bundled.NOTE)}",
        links="".join(f'<a href="#{escape(to)}"{_lang(name)}>{escape(name)}</a>' for to, name in links),
        users="\n".join(map(_user, users)),
        shop=_shop(shop),
        change=_change(change),
        newcomer=_newcomer(newcomer),
        searches="\n".join(map(_search, searches)),
        space=escape(about.space_id),
        residual=f"{_residual([*(story.answer for story in users), *(search.answer for search in searches)]):.0e}",
    )


def _residual(answers: Iterable[Answer]) -> float:
    """The largest difference between an explanation's sum and its score."""
    explanations = (item.explanation for answer in answers for item in answer.items)
    return max((abs(explanation.residual) for explanation in explanations if explanation), default=0.0)


def _user(story: UserStory) -> str:
    name = escape(story.user.name)
    past = "".join(map(_past, story.did[:MOST_PAST]))
    interests = "".join(
        f'<li><b>{number}</b><span class="track"><i style="width:{weight:.0%}"></i></span><span>{weight:.0%}</span>'
        f"<span>{_named(titles)}</span></li>"
        for number, (weight, titles) in enumerate(story.interests, 1)
    )
    return f"""<section id="{escape(story.user.user_id)}">
<h2{_lang(name)}>{name}</h2>
<h3>Past items, newest first</h3>
<ul class="past" tabindex="0" aria-label="Past items of {name}">{past}</ul>
<h3>Interests found in the past items</h3>
<ol class="interests">{interests}</ol>
<h3>Recommended next</h3>
{_cards(story.answer)}
</section>"""


def _past(did: Did) -> str:
    title = title_of(did.item)
    return (
        f'<li class="{"took" if did.furthest is EventType.PURCHASE else ""}">'
        f"{_image(picture_of(did.item), f'Picture of {title}', size=160)}"
        f'<p class="step">{DID[did.furthest]}</p><p class="title"{_lang(title)}>{escape(title)}</p></li>'
    )


def _named(titles: Sequence[str]) -> str:
    named = [f"<span{_lang(title)}>{escape(title)}</span>" for title in titles[:MOST_NAMED]]
    more = len(titles) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _cards(answer: Answer, more: Sequence[str] = ()) -> str:
    """The items of an answer. more: what else is shown of each"""
    several = len(answer.recommendations.interests) > 1
    sums = [evidence(item.terms).values() for item in answer.items]
    low = min((min(0.0, sum(values)) for values in sums), default=0.0)
    high = max((sum(v for v in values if v > 0) for values in sums), default=1.0)
    told = more or [""] * len(answer.items)
    cards = "\n".join(
        _card(item, answer.scale, (low, high), several, own)
        for item, own in zip(answer.items, told, strict=True)
    )
    return f'<div class="cards">\n{cards}\n</div>'


def _card(shown: ShownItem, scale: float, span: tuple[float, float], several: bool, more: str) -> str:
    title, texts = shown.texts(scale)
    tags = [f"interest {shown.recommendation.interest + 1}"] if several else []
    tags += [more] if more else []
    tags += [
        str(shown.item.attributes[key]) for key in ("domain", "category") if key in shown.item.attributes
    ]
    return f"""<article class="card">
<header>
<span class="rank">{shown.recommendation.position}</span>
<h4{_lang(shown.title)}>{_highlighted(title)}</h4>
<span class="score">{shown.score}</span>
</header>
{_pair(shown)}
<p class="text"{_lang(shown.title)}>{"<br>".join(map(_highlighted, texts))}</p>
<div class="sum">{_bar(shown, span)}</div>
<p class="reason"{_lang(shown.sentence)}>{escape(shown.sentence)}</p>
<p class="tags">{escape(" · ".join(tags))}</p>
</article>"""


def _highlighted(of: Pieces) -> str:
    return "".join(_marked(piece, strength) for piece, strength in of)


def _marked(piece: str, strength: float) -> str:
    full = intensity(piece, strength)
    if not full:
        return escape(piece)
    against = "" if full > 0 else ' class="against"'
    return f'<mark{against} style="--s:{abs(full):.2f}">{escape(piece)}</mark>'


def _pair(shown: ShownItem) -> str:
    """The picture beside its heat map."""
    if shown.picture is None:
        return '<div class="pair none">no picture</div>'
    shots = [(shown.picture, f"Picture of {shown.title}", "picture")]
    if shown.heat_map:
        shots.append((shown.heat_map, f"Heat map over the picture of {shown.title}", "heat map"))
    return '<div class="pair">{}</div>'.format(
        "".join(
            f"<figure>{_image(picture, alt)}<figcaption>{caption}</figcaption></figure>"
            for picture, alt, caption in shots
        )
    )


def _bar(shown: ShownItem, span: tuple[float, float]) -> str:
    """The evidence as a bar: the positive terms to the right, then the negative terms back from there; and the score as
    a sum."""
    low, high = span
    width = (high - low) or 1.0

    def stretch(start: float, end: float, classes: str) -> str:
        left, right = (100 * (min(start, end) - low) / width, 100 * (max(start, end) - low) / width)
        return f'<i class="{classes}" style="left:{left:.2f}%;width:{right - left:.2f}%"></i>'

    terms, at, drawn = shown.terms, 0.0, []
    for name, value in sorted(evidence(terms).items(), key=lambda term: term[1] < 0):
        drawn.append(stretch(at, at + value, _colour(name) + (" minus" if value < 0 else "")))
        at += value
    zero, score = (100 * (place - low) / width for place in (0.0, at))
    digits = digits_of(terms)
    figures = rounded(terms, digits)
    listed = "".join(
        f'<li><span class="dot {_colour(name)}"></span>{escape(name)} {figure(value, digits, "+")}</li>'
        for name, value in figures.items()
    )
    total = figure(sum(figures.values()), digits)
    return (
        f'<div class="bar" role="img" aria-label="Score {total}: {escape(spoken_shares(terms))}">'
        f'<u style="left:{zero:.2f}%"></u>{"".join(drawn)}<b style="left:calc({score:.2f}% - 1px)"></b></div>'
        f'<ul class="terms">{listed}<li><b>= {total}</b></li></ul>'
    )


def _shop(shop: FrontPage) -> str:
    cards = _cards(shop.ruled, [front_page.told_of(shown) for shown in shop.ruled.items])
    return f"<p>“{escape(front_page.ASKED)}”. {escape(shop.told)}</p>\n{cards}"


def _change(changed: Change) -> str:
    def listed(titles: Sequence[str], marked: Sequence[str], style: str) -> str:
        return "".join(
            f'<li{_lang(title)}><span class="{style if title in marked else ""}">{escape(title)}</span></li>'
            for title in titles
        )

    what = (
        f"{escape(changed.name)} buys <b>{escape(changed.bought)}</b>. The next answer takes it into account."
    )
    return f"""<p>{what}</p>
<div class="two">
<div><h3>Before</h3><ol>{listed(changed.before, changed.went, "went")}</ol></div>
<div><h3>After</h3><ol>{listed(changed.after, changed.came, "came")}</ol></div>
</div>"""


def _newcomer(came: Newcomer) -> str:
    def title(text: str) -> str:
        return f"<b{_lang(text)}>{escape(text)}</b>"

    first = "".join(f"<li{_lang(text)}>{escape(text)}</li>" for text in came.first)
    digests = "".join(
        f"<li><code>{digest[:32]}…</code> {when}</li>"
        for when, digest in (
            ("before", came.digest_before),
            ("with them", came.digest_with),
            ("after they were forgotten", came.digest_after),
        )
    )
    verdict = (
        "The last is the first: nothing is left." if came.forgotten else "They differ: something is left."
    )
    return f"""<p>Nothing is known of them, and the answer says so (<code>{escape(came.basis)}</code>): it is what is
popular, taken of late or new, of different kinds.</p>
<ol>{first}</ol>
<p>They buy {title(came.took)} and then {title(came.then)}. The first is also the latest item of
{escape(came.other)}. In that list, the second moves from place {came.place_before} to {came.place_after} at the very
next answer.</p>
<p>Then they ask to be forgotten. SHA-256 of all counts that behaviour is derived from:</p>
<ul>{digests}</ul>
<p>{verdict}</p>"""


def _search(search: Search) -> str:
    picture = _image(search.picture, "The picture of the query", size=160) if search.picture else ""
    asked = escape(search.asked if search.picture else f"“{search.asked}”")
    return f'<div class="asked"{_lang(search.asked)}>{picture}<span>{asked}</span></div>\n{_cards(search.answer)}'


def _colour(name: str) -> str:
    return _COLOURS.get(name.removesuffix(" (predicted)"), "others")


def _lang(text: str) -> str:
    return ' lang="zh"' if chinese(text) else ""


def _image(picture: bytes | None, alt: str, size: int = 320) -> str:
    """An <img> with the picture inside, at most `size` pixels wide and high."""
    if picture is None:
        return '<span class="shot none">no picture</span>'
    with Image.open(io.BytesIO(picture)) as opened:
        image = opened.convert("RGB")
    image.thumbnail((size, size))
    file = io.BytesIO()
    image.save(file, "WEBP", quality=80)
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img class="shot" alt="{escape(alt)}" src="data:image/webp;base64,{data}">'
