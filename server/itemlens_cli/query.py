"""`itemlens query`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

import itemlens
from itemlens_cli import boosts
from itemlens_cli.connection import connected
from itemlens_server.errors import InvalidArgument


def query(
    words: Annotated[str, typer.Argument(help="query text")] = "",
    picture: Annotated[Path | None, typer.Option(help="query picture", exists=True, dir_okay=False)] = None,
    user: Annotated[str, typer.Option(help="a user whose recorded events count")] = "",
    history: Annotated[str, typer.Option(help="ids of past items, oldest first: a,b,c")] = "",
    liked: Annotated[str, typer.Option(help="ids of items to find similar ones to: a,b")] = "",
    disliked: Annotated[str, typer.Option(help="ids of items to avoid: a,b")] = "",
    collection: Annotated[str, typer.Option(help="the collection to search")] = "default",
    k: Annotated[int, typer.Option(help="number of items", min=1)] = 10,
    candidates: Annotated[str, typer.Option(help="rank only these items: a,b,c")] = "",
    filter: Annotated[
        str, typer.Option(help="only items that match: 'in_stock and price < 60'; see docs/filters.md")
    ] = "",
    facet: Annotated[
        list[str] | None,
        typer.Option(
            help="count the values of this attribute over all that may be listed; may be given again"
        ),
    ] = None,
    boost: Annotated[
        list[str] | None,
        typer.Option(
            help="a boost of the collection's settings by name, or one such as 'brand values Alto=0.5' or 'released "
            "half_life nats=1.5 half_life=60'; see docs/recommend.md"
        ),
    ] = None,
    without_boost: Annotated[
        list[str] | None, typer.Option(help="leave out a boost of the settings that is on by default")
    ] = None,
    why: Annotated[
        bool, typer.Option("--why", help="show the parts of each score, and the words with the largest parts")
    ] = False,
    language: Annotated[
        Literal["en", "zh"] | None,
        typer.Option(help="language of the reasons; default: zh if the words are Chinese, else en"),
    ] = None,
    target: Annotated[str, typer.Option(help="the running server")] = "localhost:50051",
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Query a running server with a text, a picture, a user, past items, or any mix of these."""
    from itemlens_demo import answers, show

    if not any((words, picture, user, history, liked, disliked)):
        raise InvalidArgument(
            "the query is empty; give words, --picture, --user, --history, --liked or --disliked"
        )
    console = Console()
    # The user waits at the terminal, so an unreachable server must be reported after about a second.
    with connected(target, collection=collection, retry=itemlens.Retry(attempts=3)) as client:
        try:
            answer = answers.ask(
                client,
                language=language or ("zh" if answers.chinese(words) else "en"),
                why=why or as_json,
                text=words or None,
                picture=picture,
                user_id=user,
                history=_ids(history),
                liked=_ids(liked),
                disliked=_ids(disliked),
                candidates=_ids(candidates) or None,
                filter=filter,
                facets=facet or (),
                boosts=[boosts.boost(text) for text in boost or ()],
                without_boosts=without_boost or (),
                k=k,
            )
        except ValueError as error:  # for example, words that are not UTF-8
            raise InvalidArgument(str(error)) from error
    if as_json:
        typer.echo(json.dumps(_plain(answer), ensure_ascii=False, indent=2))
        return
    for warning in answer.recommendations.warnings:
        console.print(f"[yellow]{warning.reason}[/]", warning.message, markup=True, highlight=False)
    if answer.recommendations.basis is itemlens.Basis.PRIOR:
        console.print("nothing is known of what the user wants: this is what others take, and what is new")
    if not answer.items:
        console.print("nothing was found")
    elif why:
        console.print(show.legend(console))
        console.print()
        console.print(show.explained(answer, marks=console.color_system is None))
    else:
        console.print(show.table(answer))
    if answer.recommendations.facets:
        console.print()
        console.print(show.facets(answer.recommendations))


def _ids(given: str) -> list[str]:
    return [id.strip() for id in given.split(",") if id.strip()]


def _plain(answer: Any) -> dict[str, Any]:
    """The answer as JSON values. `words` holds the contribution of each word of a text to the score."""
    return {
        "recommendation_id": answer.recommendations.recommendation_id,
        "space_id": answer.recommendations.space_id,
        "facets": {name: _plain_facet(own) for name, own in answer.recommendations.facets.items()},
        "items": [
            {
                "item_id": shown.item.item_id,
                "title": shown.title,
                "score": shown.recommendation.score,
                "reason": shown.sentence,
                "terms": shown.terms,
                "words": [
                    {"text": part.text, "start": part.start, "end": part.end, "value": part.value}
                    for part in shown.explanation.by_place
                    if part.kind is itemlens.PartKind.TOKEN
                ],
            }
            for shown in answer.items
        ],
    }


def _plain_facet(facet: itemlens.Facet) -> dict[str, Any]:
    return {
        "items": facet.items,
        "counts": [{"value": value, "items": items} for value, items in facet.counts.items()],
        "value_count": facet.value_count,
        "min": facet.min,
        "max": facet.max,
    }
