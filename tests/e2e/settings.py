"""What the environment says about this run; see tests/README.md."""

from __future__ import annotations

import os
from pathlib import Path

import programs

SOURCE = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("PLUGIND_BUILD", SOURCE / "build" / "release")).resolve()
PROGRAMS = programs.reachable(BUILD)
BIN = PROGRAMS / "bin"
PLUGINS = BIN / "plugins"
FAULT_PLUGIN = PROGRAMS / "tests" / "fault_plugin"

REQUIRE_ALL = os.environ.get("PLUGIND_REQUIRE_ALL") == "1"

# The sizes of the campaigns; run.sh takes a fraction of them where a sanitizer makes everything slower.
BRAIN_KILLS = int(os.environ.get("PLUGIND_KILLS", "200"))
PLUGIN_KILLS = int(os.environ.get("PLUGIND_PLUGIN_KILLS", "1000"))
RELOADS = int(os.environ.get("PLUGIND_RELOADS", "1000"))
LEDGER_CALLS = int(os.environ.get("PLUGIND_LEDGER_CALLS", "10000"))


def _cache() -> dict[str, str]:
    cache = BUILD / "CMakeCache.txt"
    if not cache.exists():
        return {}
    lines = (line for line in cache.read_text().splitlines() if "=" in line and line[0] not in "#/")
    return {key.split(":")[0]: value for key, _, value in (line.partition("=") for line in lines)}


_CACHE = _cache()
FAILPOINTS = _CACHE.get("PLUGIND_FAILPOINTS", "OFF") == "ON"
SANITIZED = bool(_CACHE.get("PLUGIND_SANITIZE"))
# How much longer than usual everything may take.
SLOWNESS = 4.0 if SANITIZED else 1.0
