"""Operations as methods of the two clients: `blocking` ones and `awaited` ones.

Each module of operations ends with two classes that list its operations: a blocking and an awaited one.
`Client` inherits the blocking classes, `AsyncClient` the awaited ones. Each client defines how to run steps.
"""

from __future__ import annotations

import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from ._steps import Session, Steps

P = ParamSpec("P")
T = TypeVar("T")


class Blocking(ABC):
    """Runs steps with blocking calls."""

    _session: Session

    @abstractmethod
    def _run(self, steps: Steps[T]) -> T: ...


class Awaited(ABC):
    """Runs steps on an event loop."""

    _session: Session

    @abstractmethod
    async def _run(self, steps: Steps[T]) -> T: ...


def blocking(operation: Callable[Concatenate[Session, P], Steps[T]]) -> Callable[Concatenate[Blocking, P], T]:
    """An operation as a method that blocks."""

    @functools.wraps(operation)
    def method(self: Blocking, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(operation(self._session, *args, **kwargs))

    vars(method)["__signature__"] = _signature(operation)
    return method


def awaited(
    operation: Callable[Concatenate[Session, P], Steps[T]],
) -> Callable[Concatenate[Awaited, P], Coroutine[Any, Any, T]]:
    """An operation as a method that is awaited."""

    @functools.wraps(operation)
    async def method(self: Awaited, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(operation(self._session, *args, **kwargs))

    vars(method)["__signature__"] = _signature(operation)
    return method


def _signature(operation: Callable[..., Any]) -> inspect.Signature:
    """The signature of an operation as a method: `self` replaces the session, the result replaces the steps."""
    signature = inspect.signature(operation)
    first, *others = signature.parameters.values()
    result = str(signature.return_annotation).removeprefix("Steps[").removesuffix("]")
    return signature.replace(
        parameters=[first.replace(name="self", annotation=first.empty), *others], return_annotation=result
    )
