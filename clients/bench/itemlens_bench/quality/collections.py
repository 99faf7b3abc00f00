"""Getting the collections of a data set ready: uploaded, fitted once, all in one space."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from itemlens import Event, Item, NotFound, UploadReport
from itemlens import Progress as Uploaded

from .ask import Asking

Fit = Callable[[str], None]
"""Fits a collection's space and moves the collection to it: `itemlens fit`."""

MOVE_SECONDS = 1800.0
LEARNING_SECONDS = 180.0


def ensure(
    asking: Asking, name: str, items: Iterable[Item], count: int, events: Sequence[Event] = ()
) -> None:
    """Make the collection and fill it, if it does not hold so many items and events already."""
    try:
        there = asking.client.get_collection(name)
    except NotFound:
        there = asking.client.create_collection(name)
    if there.item_count != count:
        _upload(asking, f"{name}: items", count, lambda tell: asking.client.upload(
            items, collection=name, progress=tell, timeout=MOVE_SECONDS
        ))  # fmt: skip
    if there.event_count != len(events):
        _upload(asking, f"{name}: events", len(events), lambda tell: asking.client.upload_events(
            events, collection=name, progress=tell, timeout=MOVE_SECONDS
        ))  # fmt: skip


def _upload(
    asking: Asking, what: str, total: int, upload: Callable[[Callable[[Uploaded], None]], UploadReport]
) -> None:
    with asking.bar() as bar:
        task = bar.add_task(what, total=total)
        report = upload(lambda progress: bar.update(task, completed=progress.done))
        bar.update(task, completed=total)
    report.raise_for_errors()


def fit_and_move(asking: Asking, fitted: str, siblings: Sequence[str], fit: Fit | None) -> str:
    """Fit the collection `fitted` (None: it is fitted already) and move its siblings to its space; the space's id.

    A move builds all graphs before it returns, so that lists are measured as they are served later, not from rows
    that are still scanned.
    """
    if fit is not None:
        fit(fitted)
    space = asking.client.get_collection(fitted).space_id
    if not asking.client.space(space).fitted:
        raise ValueError(f"collection {fitted!r} is in space {space}, which is not fitted: leave out --skip-fit")
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
                raise TimeoutError(f"{name}: no behaviour after {LEARNING_SECONDS:g} s; were there events to fit?")
            time.sleep(0.5)
