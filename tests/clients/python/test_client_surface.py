"""The public interface: exported names, and equality of the two clients' methods."""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import itemlens
from itemlens import AsyncClient, Client
from itemlens._types import UserSideFields


def test_what_is_exported() -> None:
    assert itemlens.__all__ == EXPORTED
    for name in itemlens.__all__:
        assert getattr(itemlens, name).__doc__, name
    public = {name for name in vars(itemlens) if not name.startswith("_")}
    assert public - set(itemlens.__all__) <= {"v1"}


def methods(flavour: type) -> dict[str, object]:
    return dict(inspect.getmembers(flavour, inspect.isfunction))


def test_both_clients_have_the_same_methods() -> None:
    sync, asynchronous = methods(Client), methods(AsyncClient)
    assert sync.keys() - {"__enter__", "__exit__"} == asynchronous.keys() - {"__aenter__", "__aexit__"}
    for name in sync.keys() & asynchronous.keys():
        ours, theirs = (inspect.signature(getattr(flavour, name)) for flavour in (Client, AsyncClient))
        assert ours.parameters == theirs.parameters, name
        if name not in ("list_items", "list_events"):
            assert ours.return_annotation == theirs.return_annotation, name
        assert ours.parameters["self"].annotation is inspect.Parameter.empty, name
        if not name.startswith("_"):
            assert inspect.getdoc(getattr(AsyncClient, name)) == inspect.getdoc(getattr(Client, name)), name


def test_all_of_the_async_client_is_awaited() -> None:
    for name, method in methods(AsyncClient).items():
        plain = name in ("__init__",)
        assert plain or inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method), name


def test_methods_read_like_methods() -> None:
    signature = inspect.signature(Client.recommend)
    assert list(signature.parameters)[:2] == ["self", "user"]
    assert signature.return_annotation == "Recommendations"


def test_the_keyword_arguments_are_the_fields_of_a_user_side() -> None:
    fields = {field.name for field in dataclasses.fields(itemlens.UserSide)}
    assert fields == set(UserSideFields.__annotations__)
    assert get_type_hints(UserSideFields) == get_type_hints(itemlens.UserSide)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    from itemlens import _errors

    classes = [c for c in vars(_errors).values() if inspect.isclass(c) and issubclass(c, Exception)]
    drawn = [
        line.partition("── ")[2].split()[0] for line in (_errors.__doc__ or "").splitlines() if "──" in line
    ]
    assert sorted(drawn) == sorted(c.__name__ for c in classes if c is not itemlens.ItemlensError)
    assert all(issubclass(c, itemlens.ItemlensError) for c in classes)


def test_the_bare_install_suffices() -> None:
    heavy = ("onnxruntime", "torch", "pydantic", "yaml", "rich", "typer", "itemlens_server")
    code = f"import itemlens, sys; print([m for m in {heavy!r} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


EXPORTED = [
    "Aborted",
    "AlreadyExists",
    "AsyncClient",
    "AttributeType",
    "Basis",
    "BlockRule",
    "Boost",
    "ByItem",
    "ByValue",
    "Cancelled",
    "CapRule",
    "Channel",
    "ChannelKind",
    "ChannelSum",
    "ChannelWeight",
    "Client",
    "Collection",
    "Condition",
    "Content",
    "Counts",
    "DeadlineExceeded",
    "Encoded",
    "EncodedInput",
    "EncoderStatistics",
    "ErrorDetails",
    "Event",
    "EventStream",
    "EventType",
    "Explanation",
    "Explanations",
    "Exploration",
    "ExternalVector",
    "Facet",
    "FailedPrecondition",
    "FieldViolation",
    "Filter",
    "FloorRule",
    "FuseInput",
    "Fused",
    "FusedInput",
    "HalfLife",
    "HeatMap",
    "Interaction",
    "Interest",
    "InvalidArgument",
    "Item",
    "ItemUpdate",
    "ItemlensError",
    "Lexical",
    "Linear",
    "ListChange",
    "Log",
    "NotFound",
    "Overloaded",
    "OwnEventType",
    "Part",
    "PartKind",
    "PartialFailure",
    "PermissionDenied",
    "Picture",
    "PinRule",
    "Presence",
    "Progress",
    "Recommendation",
    "Recommendations",
    "Relation",
    "Retry",
    "Role",
    "Rule",
    "ServerError",
    "SourceWeights",
    "Space",
    "Statistics",
    "Steps",
    "StoredEvent",
    "StoredItem",
    "StoredItems",
    "StreamPosition",
    "Tls",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "UploadReport",
    "UserSide",
    "Vector",
    "Warning",
    "WriteResult",
    "Written",
    "__version__",
    "where",
]


def test_the_documentation_has_every_public_name() -> None:
    page = (Path(__file__).parents[3] / "docs/client.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^::: itemlens\.(\w+)$", page, re.MULTILINE))
    assert documented == set(itemlens.__all__) - {"__version__"}
