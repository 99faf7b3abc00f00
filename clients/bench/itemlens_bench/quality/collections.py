"""Getting the collections of a data set ready: uploaded, fitted once, all in one space."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from itemlens import Event, Item, NotFound

from .ask import Asking

Fit = Callable[[str], None]
"""Fits a collection's space and moves the collection to it: `itemlens fit`."""

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
    """Make the collection and fill it, if it does not hold so many items and events already. What is `further` of
    its items is merged into them in any case: what they have is not added again."""
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


def fit_and_move(asking: Asking, fitted: str, siblings: Sequence[str], fit: Fit | None) -> str:
    """Fit the collection `fitted` (None: it is fitted already) and move its siblings to its space; the space's id.

    A move builds all graphs before it returns, so that lists are measured as they are served later, not from rows
    that are still scanned.
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
        TimeoutError: it has not.
    """
    started = time.monotonic()
    with asking.console.status(f"{name}: the server learns from events"):
        while not asking.client.get_collection(name).behaviour_sequence_number:
            if time.monotonic() - started > LEARNING_SECONDS:
                raise TimeoutError(
                    f"{name}: no behaviour after {LEARNING_SECONDS:g} s; were there events to fit?"
                )
            time.sleep(0.5)
