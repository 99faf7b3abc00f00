"""The bundled items and their pictures, read from the package."""

import json
from dataclasses import dataclass
from importlib.resources import files

from itemlens import Relation


@dataclass(frozen=True)
class BundledItem:
    """One item of the bundled catalogue. Prices are in euros; those of yearly payments are per year.

    Colours and sizes of one thing have the same `model`, the id of the first of them.
    """

    item_id: str
    domain: str
    language: str
    title: str
    description: str
    attributes: dict[str, str | float | bool | int]
    relations: tuple[Relation, ...]
    picture: bytes | None
    """A WebP file of 256 by 256 pixels, for the items that have one."""

    @property
    def is_variant(self) -> bool:
        """Whether it is another colour or size of an item."""
        return self.attributes.get("model", self.item_id) != self.item_id


def items() -> list[BundledItem]:
    """Every item of the bundled catalogue, in the order of its file."""
    folder = files(__package__)
    lines = (folder / "catalogue.jsonl").read_text(encoding="utf-8").splitlines()
    catalogue = []
    for line in lines:
        fields = json.loads(line)
        fields["relations"] = tuple(Relation(**relation) for relation in fields["relations"])
        if fields["picture"] is not None:
            fields["picture"] = (folder / "pictures" / fields["picture"]).read_bytes()
        catalogue.append(BundledItem(**fields))
    return catalogue
