"""Gets a space, a filled collection and a fitted head ready. What is there already is kept."""

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
"""Of the space and of the collection."""

BEHAVIOUR_SECONDS = 4.0
"""At most so long, since with too few events there is nothing to learn."""

OnProgress = Callable[[Progress], None]


def find_space(models: Path) -> str:
    """Id of the unfitted space that is named demo; "" if there is none."""
    manifests = SpaceList.read(models).spaces.values()
    return next((m.space_id for m in manifests if m.name == NAME and m.head is None), "")


def export_space(models: Path, say: Callable[[str], None]) -> str:
    """Export the demo's space, multilingual texts and pictures, in fp32; its id."""
    try:
        from itemlens_exporter import presets, space
    except ImportError as error:
        raise FailedPrecondition(
            f"the demo exports its models first, which needs more: pip install 'itemlens-server[export]' ({error})"
        ) from error
    exported = space.export_space(
        {"text": presets.text("multilingual"), "image": presets.image("lite0")},
        models=models,
        name=NAME,
        progress=say,
    )
    return exported.manifest.space_id


def items() -> list[Item]:
    """The bundled catalogue as the client takes it: title and description on lines of one text."""
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
    """What the generated users did, as the client takes it."""
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
    """The demo's collection, made where there is none."""
    try:
        return client.get_collection(NAME)
    except NotFound:
        return client.create_collection(NAME)


def upload_items(client: Client, given: Sequence[Item], progress: OnProgress) -> None:
    """Add the catalogue to the collection."""
    client.upload(given, batch_size=16, progress=progress).raise_for_errors()


def upload_events(client: Client, given: Sequence[Event], progress: OnProgress) -> None:
    """Add what the users did."""
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
            f"fit ended with status {done.returncode}; the end of its output, {log}:\n{tail(log)}"
        )


def wait_for_behaviour(client: Client) -> None:
    """Give the server a moment to learn, in the background, who took what next."""
    deadline = time.monotonic() + BEHAVIOUR_SECONDS
    while time.monotonic() < deadline and not collection(client).behaviour_sequence_number:
        time.sleep(0.2)
