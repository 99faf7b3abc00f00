"""A list as a shop's front page needs it: what is in stock, one colour or size of each model, a few of each brand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from itemlens import Boost, ByValue, Client, PartKind, where
from itemlens_demo.answers import Answer, ShownItem, ask
from itemlens_demo.story import MODEL

LENGTH = 8
PER_BRAND = 2
ASKED = "something to wear on a rainy hike"
WANTED = (where("domain") == "shop") & where("in_stock") & (where("price") < 150)
BOOST = Boost("brand of the week", "brand", ByValue({"Nordvik": 1.0}))


@dataclass(frozen=True, eq=False)
class FrontPage:
    """A search in the shop without rules and with them.

    plain: by words alone. ruled: what matches WANTED, with one of each model, at most PER_BRAND of a brand, and BOOST.
    """

    plain: Answer
    ruled: Answer

    @property
    def not_in_stock(self) -> int:
        """How many items of the plain list are not in stock."""
        return sum(not shown.item.attributes.get("in_stock", True) for shown in self.plain.items)

    @property
    def repeated(self) -> int:
        """How many items of the plain list are further colours or sizes of a model above them."""
        models = [shown.item.attributes.get(MODEL, shown.item.item_id) for shown in self.plain.items]
        return len(models) - len(set(models))

    @property
    def told(self) -> str:
        """What the rules are, and what the list was like without them, as text."""
        return (
            f"In stock, under 150 €, one of each model, at most {PER_BRAND} of a brand; {BOOST.name} +1 nat. Without "
            f"these, {self.not_in_stock} of {len(self.plain.items)} places went to what is not in stock, and "
            f"{self.repeated} to further colours or sizes."
        )


def tell(client: Client) -> FrontPage:
    """Search with and without a shop's rules."""
    asked = partial(ask, client, text=ASKED, k=LENGTH, language="en", why=False)
    ruled = asked(filter=WANTED, group_by=MODEL, caps={"brand": PER_BRAND}, boosts=[BOOST])
    return FrontPage(asked(filter=where("domain") == "shop"), ruled)


def told_of(shown: ShownItem) -> str:
    """An item's price, brand and how many other colours or sizes there are, and what the boost adds, as text."""
    attributes, others = shown.item.attributes, len(shown.recommendation.others)
    own = [f"{attributes['price']:g} €", str(attributes.get("brand", ""))]
    own += [f"{others} more of the model"] if others else []
    boosted = sum(part.value for part in shown.recommendation.parts if part.kind is PartKind.BOOST)
    own += [f"{BOOST.name} {boosted:+.1f}"] if boosted else []
    return " · ".join(filter(None, own))
