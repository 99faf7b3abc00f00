"""The Dockerfile, parsed."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

from deploy.rendering import ROOT

TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")


@dataclass
class Stage:
    """A stage of the Dockerfile: its base, and its instructions with their arguments."""

    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        return [arguments for instruction, arguments in self.instructions if instruction == name]


def parsed() -> tuple[dict[str, str], dict[str, Stage]]:
    """The arguments before the first stage, and the stages by name."""
    lines = [line for line in TEXT.splitlines() if not line.startswith("#")]
    arguments: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    current = ""
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            base, _, current = rest.partition(" AS ")
            stages[current] = Stage(base)
        elif not stages and instruction == "ARG":
            name, _, arguments[name] = rest.partition("=")
        elif instruction:
            stages[current].instructions.append((instruction, rest.strip()))
    return arguments, stages


ARGUMENTS, STAGES = parsed()
IMAGES = ("cpu", "cuda")


def layers(image: str) -> list[Stage]:
    """The stages that an image consists of."""
    found, name = [], image
    while name in STAGES:
        found.append(STAGES[name])
        name = STAGES[name].base
    return found


def environment(image: str) -> dict[str, str]:
    """The environment of an image."""
    return {
        name: value
        for stage in reversed(layers(image))
        for arguments in stage.all("ENV")
        for name, value in (pair.split("=", 1) for pair in shlex.split(arguments))
    }
