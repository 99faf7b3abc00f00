"""Prints the answers in the terminal."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from itemlens_demo import front_page, prepare, show
from itemlens_demo.answers import title_of
from itemlens_demo.front_page import FrontPage
from itemlens_demo.newcomer import Newcomer
from itemlens_demo.steps import Steps
from itemlens_demo.story import DID, Change, Search, UserStory

MOST_RECOMMENDED = 4
MOST_PAST = 5
"""The page shows more of both."""


def user(console: Console, story: UserStory) -> None:
    """Print a user's past items, and the recommendations with their reasons."""
    _heading(console, story.user.name, story.user.user_id)
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    for step, done in DID.items():
        titles = [title_of(did.item) for did in story.did if did.furthest is step]
        if titles:
            table.add_row(done, Text(" · ".join(titles[:MOST_PAST]) + (" …" * (len(titles) > MOST_PAST))))
    console.print(table)
    console.print()
    console.print(show.legend(console))
    console.print()
    console.print(show.explained(story.answer, marks=console.color_system is None, most=MOST_RECOMMENDED))


def change(console: Console, changed: Change) -> None:
    """Print how one event changed a list."""
    _heading(console, "an event changes the next answer")
    console.print(Text.assemble(f"{changed.name} now buys ", (changed.bought, "bold"), ". Recommended next:"))
    for place, title in enumerate(changed.after, 1):
        new = title in changed.came
        console.print(Text(f"  {'+' if new else ' '} {place}  {title}", "green" if new else ""))
    for title in changed.went:
        console.print(Text(f"  −    {title}", "red"))


def shop(console: Console, page: FrontPage) -> None:
    """Print a search with the rules of a shop, and what they changed."""
    _heading(console, "a shop's front page", f"“{front_page.ASKED}”")
    console.print(Text(page.told))
    table = Table("", "item", "score", "sum", box=None, pad_edge=False, header_style="dim")
    table.columns[2].justify = "right"
    for shown in page.ruled.items:
        what = Text.assemble((shown.title, "bold"), (f"\n{front_page.told_of(shown)}", "dim"))
        table.add_row(
            str(shown.recommendation.position), what, shown.score, Text(show.spoken_sum(shown.terms))
        )
    console.print(table)


def newcomer(console: Console, came: Newcomer) -> None:
    """Print what somebody new got, what that changed for another user, and that nothing is left of it."""
    _heading(console, "somebody new", f"basis {came.basis}")
    for place, title in enumerate(came.first, 1):
        console.print(Text(f"    {place}  {title}"))
    console.print(Text.assemble("They buy ", (came.took, "bold"), " and then ", (came.then, "bold"), "."))
    console.print(
        f"The first is also the latest item of {came.other}, in whose list the second moves from place "
        f"{came.place_before} to {came.place_after}.",
        highlight=False,
    )
    same = "the same as before" if came.forgotten else "NOT the same as before"
    console.print("Then they ask to be forgotten. SHA-256 of all counts of events:", highlight=False)
    for when, digest in (
        ("before", came.digest_before),
        ("with them", came.digest_with),
        (f"forgotten, {same}", came.digest_after),
    ):
        console.print(f"    {digest[:32]}…  {when}", highlight=False)


def search(console: Console, search: Search) -> None:
    """Print what a search found."""
    _heading(console, "search", search.asked)
    console.print(show.table(search.answer))


def what_next(steps: Steps, *, target: str, models: Path, store: Path, page: Path) -> None:
    """Print what to try next. `target` is the address of the running server, "" if it is stopped."""
    console = steps.console
    _heading(console, "what next", f"the demo took {steps.seconds:.0f} s")

    def line(text: str) -> None:
        console.print(Text(text), soft_wrap=True)

    line(f"The page, with pictures and heat maps:  {page.resolve().as_uri()}")
    if target:
        line(f"The server runs at {target} until Ctrl-C. Query it from another terminal:\n")
    else:
        line("The server is stopped. Start it again and query it from another terminal:\n")
        line(f"  {_program('itemlens')} serve --models {models} --data {store}\n")
    target = target or "localhost:50051"
    query = f'{_program("itemlens")} query "something for a rainy day"'
    line(f"  {query} --collection {prepare.NAME} --why --target {target}\n")
    line(
        f"""  {_program("python")} -c '
  from itemlens import Client
  for found in Client("{target}", collection="{prepare.NAME}").recommend("user-001", k=5, reasons=True):
      print(f"{{found.score:.3f}} {{found.item_id}}: {{found.reason}}")'\n""".replace("\n  ", "\n")
    )
    asked = (
        f'{{"collection": "{prepare.NAME}", "user": {{"user_id": "user-001"}}, "k": 5, "with_reasons": true}}'
    )
    line(f"  grpcurl -plaintext -d '{asked}' {target} itemlens.v1.ItemLens/Recommend")


def _program(name: str) -> str:
    """What a shell in the current folder calls to run a program of this environment."""
    path = Path(sys.executable).with_name(name)
    if (found := shutil.which(name)) and Path(found) == path:
        return name
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _heading(console: Console, what: str, more: str = "") -> None:
    console.print()
    console.rule(Text.assemble((what, "bold"), (f"  {more}", "dim")), align="left")
