"""Prepares a space, a filled collection and a fitted fusion head. Keeps what earlier runs have made."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from itemlens import Client, Collection, Event, Item, NotFound, Progress
from itemlens_datasets import bundled
from itemlens_server.engine.space_list import SpaceList
from itemlens_server.errors import FailedPrecondition
from itemlens_server.process import tail

NAME = "demo"
"""Name of the space and of the collection."""

SETTINGS = {"min_reason_users": "5"}
"""Of the server: its users are generated, so that there is nobody whom a reason could give away."""

BEHAVIOUR_SECONDS = 4.0
"""The longest wait. It is bounded since there is nothing to learn from too few events."""

OnProgress = Callable[[Progress], None]


def find_space(models: Path) -> str:
    """Id of the unfitted space that is named demo; "" if there is none."""
    manifests = SpaceList.read(models).spaces.values()
    return next((m.space_id for m in manifests if m.name == NAME and m.head is None), "")


def export_space(models: Path, say: Callable[[str], None]) -> str:
    """Export the demo's space for multilingual texts and pictures, in fp32. Return its id."""
    try:
        from itemlens_exporter import presets, space
    except ImportError as error:
        raise FailedPrecondition(
            "the demo exports its models first and needs further packages: "
            f"pip install 'itemlens-server[export]' ({error})"
        ) from error
    exported = space.export_space(
        {"text": presets.text("multilingual"), "image": presets.image("lite0")},
        models=models,
        name=NAME,
        progress=say,
    )
    return exported.manifest.space_id


def items() -> list[Item]:
    """The bundled catalogue as items of the client. Title and description are the lines of one text."""
    return [
        Item(
            item.item_id,
            text=f"{item.title}\n{item.description}",
            picture=item.picture,
            attributes={
                **item.attributes,
                "title": item.title,
                "domain": item.domain,
                "language": item.language,
            },
            relations=item.relations,
        )
        for item in bundled.items()
    ]


def events() -> list[Event]:
    """The generated users' events as events of the client."""
    return [
        Event(
            event.user_id,
            event.item_id,
            event.type,
            datetime.fromtimestamp(event.time_seconds, UTC),
            quantity=event.quantity,
            value=event.value,
            event_id=event.event_id,
        )
        for event in bundled.events()
    ]


def collection(client: Client) -> Collection:
    """The demo's collection, which is created if it does not exist."""
    try:
        return client.get_collection(NAME)
    except NotFound:
        return client.create_collection(NAME)


def upload_items(client: Client, given: Sequence[Item], progress: OnProgress) -> None:
    """Add the catalogue to the collection."""
    client.upload(given, batch_size=16, progress=progress).raise_for_errors()


def upload_events(client: Client, given: Sequence[Event], progress: OnProgress) -> None:
    """Add the users' events to the collection."""
    client.upload_events(given, progress=progress).raise_for_errors()


def fit(target: str, *, models: Path, data: Path, log: Path) -> None:
    """Run `itemlens fit`, which moves the collection to the space that it makes.

    Raises:
        FailedPrecondition: it failed; the message has the end of its output.
    """
    command = [
        *(sys.executable, "-m", "itemlens_cli", "fit", NAME, "--target", target),
        *("--models", str(models), "--data", str(data)),
    ]
    with log.open("wb") as output:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False)
    if done.returncode:
        raise FailedPrecondition(
            f"fit ended with status {done.returncode}; the end of its output in {log}:\n{tail(log)}"
        )


def wait_for_behaviour(client: Client) -> None:
    """Give the server a moment to learn from the events in the background."""
    deadline = time.monotonic() + BEHAVIOUR_SECONDS
    while time.monotonic() < deadline and not collection(client).behaviour_sequence_number:
        time.sleep(0.2)
