"""Prepares the collections of a data set: uploads them, fits once, and moves all of them to one space."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from itemlens import Event, Item, NotFound

from .ask import Asking

Fit = Callable[[str], None]
"""Fits a space to a collection and moves the collection to it: `itemlens fit`."""

UPLOAD_SECONDS = 600.0
MOVE_SECONDS = 1800.0
LEARNING_SECONDS = 180.0


def ensure(
    asking: Asking,
    name: str,
    items: Sequence[Item],
    *,
    further: Sequence[Item] = (),
    events: Sequence[Event] = (),
) -> None:
    """Create the collection and fill it, unless it holds as many items and events already.

    `further` is merged into the items in any case; what they have already is not added again.
    """
    client = asking.client
    try:
        there = client.get_collection(name)
    except NotFound:
        there = client.create_collection(name)
    if there.item_count != len(items):
        _upload(asking, name, "items", items)
    if further:
        _upload(asking, name, "further pictures", further, merge=True)
    if there.event_count != len(events):
        with asking.bar() as bar:
            task = bar.add_task(f"{name}: events", total=len(events))
            client.upload_events(
                events, collection=name, progress=lambda p: bar.update(task, completed=p.done)
            ).raise_for_errors()


def _upload(asking: Asking, name: str, what: str, items: Sequence[Item], *, merge: bool = False) -> None:
    with asking.bar() as bar:
        task = bar.add_task(f"{name}: {what}", total=len(items))
        asking.client.upload(
            items,
            merge=merge,
            collection=name,
            progress=lambda p: bar.update(task, completed=p.done),
            timeout=UPLOAD_SECONDS,
        ).raise_for_errors()


def unfit(asking: Asking, names: Sequence[str]) -> None:
    """Move collections to the server's default space, if an earlier run left them in a fitted one: a fit is compared
    with what serves, and one that is not better is not taken."""
    default = asking.client.space().space_id
    for name in names:
        if asking.client.get_collection(name).space_id != default:
            with asking.console.status(f"moving {name} back to {default}"):
                asking.client.update_collection(name, space=default, timeout=MOVE_SECONDS)


def fit_and_move(asking: Asking, fitted: str, siblings: Sequence[str], fit: Fit | None) -> str:
    """Fit the collection `fitted` (`fit` None: it is fitted already), and move its siblings to its space.

    Return the space's id. A move builds all graphs before it returns, so lists are measured with the graphs that
    serve them later, not with a scan of new rows.
    """
    if fit is not None:
        fit(fitted)
    space = asking.client.get_collection(fitted).space_id
    if not asking.client.space(space).fitted:
        raise ValueError(
            f"collection {fitted!r} is in space {space}, which is not fitted: leave out --skip-fit"
        )
    for name in siblings:
        if asking.client.get_collection(name).space_id != space:
            with asking.console.status(f"moving {name} to {space}"):
                asking.client.update_collection(name, space=space, timeout=MOVE_SECONDS)
    return space


def await_behaviour(asking: Asking, name: str) -> None:
    """Wait until the server has learnt from the events in the background.

    Raises:
        TimeoutError: it has not within LEARNING_SECONDS.
    """
    started = time.monotonic()
    with asking.console.status(f"{name}: the server is learning from events"):
        while not asking.client.get_collection(name).behaviour_sequence_number:
            if time.monotonic() - started > LEARNING_SECONDS:
                raise TimeoutError(
                    f"{name}: nothing learnt from events after {LEARNING_SECONDS:g} s; check that it has events"
                )
            time.sleep(0.5)
