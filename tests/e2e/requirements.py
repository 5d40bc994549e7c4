"""What a test may need that not every machine has."""

from __future__ import annotations

import pytest

import settings


def skip(why: str) -> None:
    """Under PLUGIND_REQUIRE_ALL=1 a skip is a failure."""
    if settings.REQUIRE_ALL:
        pytest.fail(f"PLUGIND_REQUIRE_ALL=1, but {why}", pytrace=False)
    print(f"SKIPPED: {why}")
    pytest.skip(why)


def need_go_plugin() -> None:
    if not (settings.PLUGINS / "kv").exists():
        skip("the Go example was not built: no Go 1.24 or later is on the PATH")
