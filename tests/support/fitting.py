"""A shop with events, and `itemlens fit` in its own process, for the end-to-end tests."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from itemlens import Event, EventType
from support import spaces

ITEMS, USERS, EVENTS = 240, 50, 20
THEME = {item.item_id: item.theme for item in spaces.sample_items(ITEMS)}


def events() -> list[Event]:
    """Each user takes items of one theme, and now and then of another, over three months."""
    rng = random.Random(1)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    themes = sorted(set(THEME.values()))
    of = {theme: [item for item, item_theme in THEME.items() if item_theme == theme] for theme in themes}
    purchases = []
    for user in range(USERS):
        for number in range(EVENTS):
            theme = themes[user % len(themes)] if rng.random() < 0.9 else rng.choice(themes)
            when = start + timedelta(days=3 * number + rng.random())
            purchases.append(
                Event(
                    f"u{user}", rng.choice(of[theme]), EventType.PURCHASE, when, event_id=f"{user}-{number}"
                )
            )
    return purchases


def start_fit(models: Path, data: Path, *more: str, script: str = "") -> subprocess.Popen[str]:
    """Start `itemlens fit`. `script`: what Python runs as the command line, if it is not that itself."""
    python = ["-c", script] if script else ["-m", "itemlens_cli"]
    command = [sys.executable, *python, "fit", "--models", str(models), "--data", str(data), *more]
    wide = {**os.environ, "COLUMNS": "250"}
    return subprocess.Popen(command, env=wide, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def fit(models: Path, data: Path, *more: str, timeout: float = 250) -> subprocess.CompletedProcess[str]:
    """Run `itemlens fit`, and return what it said."""
    with start_fit(models, data, *more) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        finally:
            process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
