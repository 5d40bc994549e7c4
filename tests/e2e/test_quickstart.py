"""The first command of the README does what it says."""

from __future__ import annotations

import re
import subprocess

import pytest

import settings

# It builds the preset release itself, so one run of it is enough.
if not settings.FAILPOINTS:

    @pytest.mark.campaign  # it builds, and may not stand in anyone's way
    def test_quickstart_calls_kills_and_shows_it_come_back() -> None:
        done = subprocess.run(
            [settings.SOURCE / "deploy" / "quickstart.sh"],
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        answers = re.findall(r'Hello, quickstart!","pid":(\d+)', done.stdout)
        assert len(answers) == 2 and answers[0] != answers[1], done.stdout
        assert re.search(r"^greeter\s.*READY", done.stdout, re.M)
        assert "have ended" in done.stdout
        assert "\x1b" not in done.stdout
