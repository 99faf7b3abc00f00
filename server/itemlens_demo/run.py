"""The demo from start to end. The server that it starts is always stopped."""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

from rich.console import Console

import itemlens
from itemlens_datasets import bundled
from itemlens_demo import front_page, newcomer, page, prepare, story, terminal
from itemlens_demo.answers import Language
from itemlens_demo.steps import Steps
from itemlens_server.errors import ItemlensError
from itemlens_server.process import LocalServer


def run(*, models: Path, folder: Path, users: int, keep: bool, language: Language | None) -> None:
    """Export, serve, upload and fit; then show the answers for `users` users in the terminal and on a page.

    Raises:
        ItemlensError: a step failed, or the server died; the message has the end of the log.
    """
    # SIGTERM, like Ctrl-C, must leave through the block that stops the server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    steps = Steps(Console())
    space = _space(steps, models)
    with ExitStack() as stack:
        with steps.step("starting a server"):
            store = folder / "store"
            server = stack.enter_context(
                LocalServer(
                    models=models,
                    data=store,
                    space=space,
                    log=folder / "server.log",
                    settings=prepare.SETTINGS,
                )
            )
        try:
            with itemlens.Client(server.target, collection=prepare.NAME, timeout=120) as client:
                _fill(steps, client)
                _fit(steps, client, server, models, folder)
                written = _tell(steps, client, users, language, folder)
        except itemlens.ItemlensError as error:
            raise (ItemlensError(str(error)) if server.running else server.died()) from error
        terminal.what_next(
            steps, target=server.target if keep else "", models=models, store=store, page=written
        )
        if keep:
            with suppress(KeyboardInterrupt):
                server.wait()
                raise server.died()
            steps.console.print("stopping the server")


def _space(steps: Steps, models: Path) -> str:
    if space_id := prepare.find_space(models):
        steps.had(f"space {space_id}, in {models}")
        return space_id
    with steps.step("exporting the encoders of multilingual texts and pictures to ONNX") as say:
        return prepare.export_space(models, say)


def _fill(steps: Steps, client: itemlens.Client) -> None:
    items, events = prepare.items(), prepare.events()
    there = prepare.collection(client)
    if there.item_count >= len(items):
        steps.had(f"{len(items)} items, encoded")
    else:
        what = f"uploading and encoding {len(items)} items"
        steps.upload(what, items, lambda given, progress: prepare.upload_items(client, given, progress))
    if there.event_count >= len(events):
        steps.had(f"{len(events):,} events of generated users")
    else:
        what = f"uploading {len(events):,} events of generated users"
        steps.upload(what, events, lambda given, progress: prepare.upload_events(client, given, progress))


def _fit(steps: Steps, client: itemlens.Client, server: LocalServer, models: Path, folder: Path) -> None:
    if client.space(client.get_collection().space_id).fitted:
        steps.had("fusion head, fitted to the catalogue")
    else:
        with steps.step("fitting the fusion head to the catalogue"):
            prepare.fit(server.target, models=models, data=folder / "store", log=folder / "fit.log")
    # A restarted server learns again, too: the last demo has deleted a user's events.
    with steps.step("learning from the events what users take next"):
        prepare.wait_for_behaviour(client)


def _tell(steps: Steps, client: itemlens.Client, users: int, language: Language | None, folder: Path) -> Path:
    """Get the answers, print them and write the page. Return its path."""
    events, people = prepare.events(), bundled.users()[:users]
    with steps.step(f"recommending to {len(people)} user{'s' * (len(people) > 1)}, with explanations"):
        stories = [
            story.tell_user(client, user, events, language or story.language_of(user)) for user in people
        ]
    with steps.step("searching by words and by a picture"):
        searches = story.searches(client)
    with steps.step("searching with the rules of a shop"):
        shop = front_page.tell(client)
    with steps.step("recording one more event and recommending again"):
        changed = story.change(client, people[0], events)
    with steps.step("greeting somebody new, and forgetting them again"):
        came = newcomer.tell(client, people[0], events)
    with steps.step("writing the page"):
        there = client.get_collection()
        about = page.About(there.item_count, there.event_count, there.space_id)
        target = folder / "page.html"
        target.write_text(page.build(about, stories, shop, searches, changed, came), encoding="utf-8")
    for user_story in stories:
        terminal.user(steps.console, user_story)
    terminal.shop(steps.console, shop)
    terminal.change(steps.console, changed)
    terminal.newcomer(steps.console, came)
    for search in searches:
        terminal.search(steps.console, search)
    return target
