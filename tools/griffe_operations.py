"""Shows the client's operations as methods in the site; in the code they are `name = blocking(operation)`."""

from __future__ import annotations

from typing import Any

import griffe


class Operations(griffe.Extension):
    """Puts a method in place of each attribute that is `blocking(operation)` or `awaited(operation)`."""

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """Called by griffe for each class, after its members are collected."""
        for name, member in list(cls.members.items()):
            call = member.value if isinstance(member, griffe.Attribute) else None
            if isinstance(call, griffe.ExprCall) and str(call.function) in ("blocking", "awaited"):
                cls.set_member(
                    name, _method(cls, name, cls.module[str(call.arguments[0])], str(call.function))
                )


def _method(cls: griffe.Class, name: str, operation: griffe.Function, flavour: str) -> griffe.Function:
    _, *others = operation.parameters  # the session
    steps = operation.returns
    method = griffe.Function(
        name,
        parameters=griffe.Parameters(griffe.Parameter("self"), *others),
        returns=steps.slice if isinstance(steps, griffe.ExprSubscript) else steps,
        docstring=operation.docstring,
        lineno=operation.lineno,
        endlineno=operation.endlineno,
        parent=cls,
    )
    if flavour == "awaited":
        method.labels.add("async")
    return method
