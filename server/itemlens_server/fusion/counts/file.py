"""The file of counts: a server that starts loads it instead of counting all events again.

It is used only if its mark is the one that the store has (see `storage.schema`), and if it was made by the same rules.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from itemlens_server.durable import new_file
from itemlens_server.fusion import taken
from itemlens_server.fusion.counts.state import State
from itemlens_server.fusion.counts.successions import HORIZON, LARGEST_BASKET, UNIT

log = logging.getLogger(__name__)
FORMAT = 2
MATRICES = ("pairs", "ordered")
AT, VALUES, SHAPE = ".at", ".values", ".shape"


def save(path: Path, state: State, mark: str, rules: Mapping[str, Any]) -> None:
    """Write a file of counts, which is on disk when this returns; an error leaves nothing of it. rules: what the counts
    depend on, as JSON values."""
    thin = _thin(state.arrays)
    lists = {"item_ids": list(state.item_ids), "users": list(state.users), "arrays": sorted(thin)}
    about = json.dumps({**_about(mark, rules), **lists}).encode()
    arrays: dict[str, Any] = {"about": np.frombuffer(about, np.uint8), **thin}
    with new_file(path) as stream:
        np.savez(stream, **arrays)


def load(path: Path, mark: str, rules: Mapping[str, Any]) -> State | None:
    """Read a file of `save`; None if it is missing, damaged or made by other rules, so that everything must be counted
    again."""
    try:
        # numpy does not close a damaged file that it has opened itself.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            about = json.loads(file["about"].tobytes())
            if {name: about[name] for name in _about("", {})} != _about(mark, rules):
                raise ValueError("made by other rules or from other events")
            if sorted({*file.files} - {"about"}) != about["arrays"]:
                raise ValueError("other arrays")
            arrays = _full({name: file[name] for name in file.files if name != "about"})
            return State(about["users"], about["item_ids"], arrays)
    except FileNotFoundError:
        return None
    except Exception as error:  # derived state can be computed again, whatever the error
        log.warning("%s cannot be used (%r); all events are counted again", path, error)
        return None


@dataclass(frozen=True)
class Description:
    """What a file says of itself. rules: see `save`. items: number of items. has_matrices: whether pairs are in it."""

    rules: Mapping[str, Any]
    items: int
    has_matrices: bool


def describe(path: Path) -> Description | None:
    """Return what a file says of itself; None if it cannot be read."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            about = json.loads(file["about"].tobytes())
            has_matrices = any(name.removesuffix(AT) in MATRICES for name in about["arrays"])
            return Description(about["rules"], len(about["item_ids"]), has_matrices)
    except Exception as error:  # whatever is wrong with it, it is no file of counts
        log.warning("%s cannot be read (%r)", path, error)
        return None


def _thin(arrays: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
    """Return the same with matrices of mostly zeros as the places and values of the others."""
    thin: dict[str, Any] = {}
    for name, values in arrays.items():
        if name in MATRICES and 3 * np.count_nonzero(values) < values.size:
            places = np.flatnonzero(values)
            shape = np.asarray(values.shape)
            thin |= {name + AT: places, name + VALUES: values.reshape(-1)[places], name + SHAPE: shape}
        else:
            thin[name] = values
    return thin


def _full(thin: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays of `_thin`."""
    arrays = {name: values for name, values in thin.items() if not name.endswith((AT, VALUES, SHAPE))}
    for name in MATRICES:
        if name + AT in thin:
            values = thin[name + VALUES]
            arrays[name] = np.zeros(tuple(thin[name + SHAPE].tolist()), values.dtype)
            arrays[name].reshape(-1)[thin[name + AT]] = values
    return arrays


def _about(mark: str, rules: Mapping[str, Any]) -> dict[str, Any]:
    constants = [FORMAT, HORIZON, LARGEST_BASKET, UNIT, taken.MOST_PAST]
    return {"constants": constants, "mark": mark, "rules": dict(rules)}
