"""What a sync did, or would do, as a table."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from itemlens_cli.skipped import shortened
from itemlens_cli.sync.apply import Synced

_EXAMPLES = 3


def table(made: Synced, dry_run: bool) -> Table:
    """Return counts and first ids of what was added, changed and deleted, and of what was left alone."""
    plan = made.plan
    changes = plan.changes.items()
    shown = Table("items", "count", "first ids", title="dry run: nothing was written" if dry_run else "sync")
    lines = {
        "added": [item_id for item_id, change in changes if change.add],
        "contents or relations changed": [
            item_id for item_id, change in changes if change.replace or change.merge
        ],
        "attributes changed": [item_id for item_id, change in changes if change.update is not None],
        "deleted": plan.deleted,
    }
    for what, ids in lines.items():
        first = ", ".join(map(shortened, ids[:_EXAMPLES])) + (", ..." if len(ids) > _EXAMPLES else "")
        shown.add_row(what, f"{len(ids):,}", escape(first))
    shown.add_row("did not change", f"{plan.count - len(plan.changes) - plan.stay_deleted:,}", "")
    if plan.stay_deleted:
        shown.add_row("did not change, and stay deleted", f"{plan.stay_deleted:,}", "")
    if plan.others:
        shown.add_row("in no sync of these files, left alone", f"{plan.others:,}", "")
    return shown


def notes(made: Synced, dry_run: bool) -> list[str]:
    """Return what a reader of the table must know."""
    said = [made.note] if made.note else []
    if made.not_deleted:
        said.append(
            f"{made.not_deleted:,} items are not in the files, but rows were skipped, which may be theirs: none was "
            "deleted; mend the rows, or give --force"
        )
    if made.unknown:
        said.append(
            f"{len(made.unknown):,} items whose texts or attributes changed are not in the collection; "
            "they were left out"
        )
    if dry_run and made.plan.changes and made.note:
        said.append(
            "pictures and vectors can be compared only after the first sync: their items count as changed"
        )
    return said
