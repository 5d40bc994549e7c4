"""h2spec against the gateway: every case of it, the strict ones too, and without exceptions.

h2spec asks for RFC 7540. Where RFC 9113 is milder (a frame on a closed stream may be dropped, 5.1), the gateway is as
strict as it asks. Requests without gRPC's content type, such as h2spec's, are answered 415 and a line of text.
"""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from bridge import Bridge
from daemon import Daemon
from examples import add_greeter
from go_programs import program
from settings import SLOWNESS

SECTIONS = ("generic", "hpack", "http2")

# 4.2/3 sends one HEADERS frame of five headers, to exceed SETTINGS_MAX_FRAME_SIZE: five of h2spec's own size would if
# that were the smallest allowed, 16 KiB. The gateway announces 128 KiB.
HEADER_LENGTH = 32_000


@pytest.mark.parametrize("socket", ["plugind.sock", "plugins/greeter.sock"])
def test_h2spec_finds_nothing(daemon: Daemon, tmp_path: Path, socket: str) -> None:
    h2spec = program("h2spec")
    add_greeter(daemon)
    daemon.start().wait_ready("greeter")
    report = tmp_path / "report.xml"
    with Bridge(daemon.runtime / socket) as bridge:
        done = subprocess.run(
            [
                h2spec,
                *SECTIONS,
                "--strict",
                f"--port={bridge.port}",
                f"--timeout={round(2 * SLOWNESS)}",
                f"--max-header-length={HEADER_LENGTH}",
                f"--junit-report={report}",
            ],
            capture_output=True,
            text=True,
            timeout=120 * SLOWNESS,
        )
    cases = ElementTree.parse(report).findall(".//testcase")
    assert {case.attrib["package"].split("/")[0] for case in cases} == set(SECTIONS)
    assert len(cases) >= 146, f"only {len(cases)} cases were run"
    # A case that passed has nothing in it.
    assert not [case.attrib for case in cases if len(case)], done.stdout
    assert done.returncode == 0, done.stdout + done.stderr
    # And nobody but the connections that misbehaved has suffered.
    assert daemon.get("greeter").restarts == 0
