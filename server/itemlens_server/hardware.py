"""What this machine is, for `itemlens doctor` and for every printed figure."""

from __future__ import annotations

import platform
from pathlib import Path


def processor() -> str:
    """Model of the processor, with the vector instructions that int8 speed depends on."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    named = {key.strip(): value.strip() for key, value in fields.items()}
    flags = named.get("flags", "").split()
    wanted = [f for f in ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8") if f in flags]
    return f"{named.get('model name', platform.machine())} ({', '.join(wanted) or 'no AVX'})"
