"""What plugind tells a service manager by sd_notify(3), heard on a socket of the test's own; and the unit that is shipped."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Callable, Iterator

import pytest

from daemon import Daemon, fault
from requirements import skip
from settings import SLOWNESS, SOURCE

UNIT = SOURCE / "deploy" / "systemd" / "plugind.service"


class Notified(Daemon):
    """A daemon started as by a service manager, which this is: it keeps what it was told, and when."""

    def __init__(self, *, watchdog_usec: int = 0) -> None:
        super().__init__()
        self.variables = [f"NOTIFY_SOCKET={self.root / 'notify'}"]
        if watchdog_usec:
            self.variables.append(f"WATCHDOG_USEC={watchdog_usec}")
        self.told: list[tuple[float, str]] = []
        self._ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ear.bind(str(self.root / "notify"))

    def command(self) -> list[str]:
        # Not by launch(), which keeps the variable of the surrounding service from every other test.
        return ["/usr/bin/env", *self.variables, *super().command()]

    def close(self) -> None:
        self._ear.close()
        super().close()

    def hear(self, within: float) -> str | None:
        """The next message; None when none comes."""
        self._ear.settimeout(max(within, 0.001))
        try:
            message = self._ear.recv(4096).decode()
        except TimeoutError:
            return None
        self.told.append((time.monotonic(), message))
        return message

    def wait_told(self, matches: Callable[[str], bool], what: str, within: float = 20.0) -> str:
        """The next message that matches; those before it are passed over."""
        deadline = time.monotonic() + within * SLOWNESS
        while (message := self.hear(deadline - time.monotonic())) is not None:
            if matches(message):
                return message
        raise AssertionError(f"not told: {what}; told: {self.told}")

    def wait_line(self, line: str) -> None:
        self.wait_told(lambda message: message == line, line)


@pytest.fixture
def make_notified() -> Iterator[Callable[..., Notified]]:
    made: list[Notified] = []

    def make(**keys: int) -> Notified:
        made.append(Notified(**keys))
        return made[-1]

    yield make
    for daemon in made:
        daemon.close()


def test_ready_is_said_once_the_socket_serves(make_notified: Callable[..., Notified]) -> None:
    daemon = make_notified()
    daemon.launch()
    daemon.wait_line("READY=1")
    assert [message for _, message in daemon.told] == ["READY=1"], "nothing comes before it"
    # One attempt and no waiting: whoever is ordered after plugind need not try twice.
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(daemon.socket))
    daemon.ctl("status")


def test_the_status_line_follows_the_plugins(make_notified: Callable[..., Notified]) -> None:
    daemon = make_notified()
    daemon.plugin("one", fault("good"))
    daemon.plugin("two", fault("good"), restart="never")
    daemon.plugin("broken", ["/nonexistent/plugin"])
    daemon.start()
    daemon.wait_line("STATUS=2 of 3 plugins ready, 1 failed or quarantined")
    daemon.change("Stop", "one")
    daemon.wait_line("STATUS=1 of 3 plugins ready, 1 failed or quarantined")
    daemon.change("Start", "one")
    daemon.wait_line("STATUS=2 of 3 plugins ready, 1 failed or quarantined")
    os.kill(daemon.get("two").pid, signal.SIGKILL)
    daemon.wait_told(lambda message: message.startswith("STATUS=1 of 3"), "one plugin less")
    statuses = [message for _, message in daemon.told if message.startswith("STATUS=")]
    assert all(a != b for a, b in zip(statuses, statuses[1:])), f"said twice: {statuses}"


def test_the_watchdog_is_patted_at_half_its_time_and_not_by_a_stopped_plugind(
    make_notified: Callable[..., Notified],
) -> None:
    half = 0.2 * SLOWNESS
    daemon = make_notified(watchdog_usec=int(2 * half * 1e6))
    daemon.start()
    for _ in range(6):
        daemon.wait_line("WATCHDOG=1")
    pats = [when for when, message in daemon.told if message == "WATCHDOG=1"][1:]
    gaps = [b - a for a, b in zip(pats, pats[1:])]
    # On a busy machine one may be heard late and the next soon after it. The whole time is what systemd allows.
    mean = sum(gaps) / len(gaps)
    assert 0.8 * half < mean < 2 * half, gaps

    pid = daemon.brain_pid
    os.kill(pid, signal.SIGSTOP)
    try:
        while daemon.hear(0.05) is not None:  # what it had sent before
            pass
        assert daemon.hear(5 * half) is None, "a stopped plugind still pats the watchdog"
    finally:
        os.kill(pid, signal.SIGCONT)
    daemon.wait_line("WATCHDOG=1")


def test_without_a_watchdog_nobody_is_patted(make_notified: Callable[..., Notified]) -> None:
    daemon = make_notified()
    daemon.start()
    daemon.wait_line("READY=1")
    while (message := daemon.hear(1.0)) is not None:
        assert message.startswith("STATUS="), message


@pytest.mark.parametrize("good", [True, False])
def test_a_reload_is_announced_and_its_end_too(
    good: bool, make_notified: Callable[..., Notified]
) -> None:
    daemon = make_notified()
    daemon.plugin("one", fault("good"))
    daemon.start().wait_ready("one")
    daemon.wait_line("STATUS=1 of 1 plugins ready")
    if good:
        daemon.plugin("two", fault("good"))
    else:
        (daemon.plugins_dir / "two.toml").write_text("comand = 1\n")
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert daemon.process
    daemon.process.send_signal(signal.SIGHUP)
    said = daemon.wait_told(lambda message: message.startswith("RELOADING=1"), "RELOADING=1")
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    fields = dict(line.split("=", 1) for line in said.splitlines())
    # systemd takes a READY=1 for the end of this reload only by this number.
    assert set(fields) == {"RELOADING", "MONOTONIC_USEC"}
    assert before <= int(fields["MONOTONIC_USEC"]) <= after
    daemon.wait_line("READY=1")
    assert ("two" in daemon.list()) == good


def test_the_stop_is_announced_when_it_begins(make_notified: Callable[..., Notified]) -> None:
    daemon = make_notified()
    daemon.plugin("slow", fault("ignores-sigterm"), stop={"grace": "2s"})
    daemon.start().wait_ready("slow")
    assert daemon.process
    daemon.process.send_signal(signal.SIGTERM)
    daemon.wait_line("STOPPING=1")
    assert daemon.process.poll() is None and daemon.processes_of("slow")
    daemon.wait_ended(code=0)
    while daemon.hear(0.05) is not None:
        pass
    later = [message for _, message in daemon.told]
    assert later.count("STOPPING=1") == 1
    assert "READY=1" not in later[later.index("STOPPING=1") :]


def test_a_successor_of_plugind_goes_on_telling(make_notified: Callable[..., Notified]) -> None:
    daemon = make_notified(watchdog_usec=400_000)
    daemon.plugin("one", fault("good"))
    daemon.start().wait_ready("one")
    daemon.wait_line("WATCHDOG=1")
    daemon.kill_brain()
    daemon.hang_up()  # a call on the old connection could fail with it
    daemon.wait_line("READY=1")
    daemon.wait_line("WATCHDOG=1")


def test_a_plugin_does_not_inherit_the_service_manager(
    make_notified: Callable[..., Notified],
) -> None:
    daemon = make_notified(watchdog_usec=10_000_000)
    daemon.plugin("one", fault("good"))
    pid = daemon.start().wait_ready("one")["one"].pid
    variables = Path(f"/proc/{pid}/environ").read_text()
    assert "PLUGIND_NAME=one" in variables
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "PLUGIND_KEEPER_FD"):
        assert name not in variables


def test_a_service_manager_that_is_gone_is_no_trouble(
    make_notified: Callable[..., Notified],
) -> None:
    daemon = make_notified(watchdog_usec=200_000)
    (daemon.root / "notify").unlink()
    daemon.plugin("one", fault("good"))
    daemon.start().wait_ready("one")
    daemon.stop()


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        skip("systemd-analyze is not there (Debian package systemd)")
    # It looks for the programs, which need not be installed here.
    text = UNIT.read_text()
    for name in ("plugind", "pluginctl"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        assert f"=/usr/bin/{name}" in text
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace("=/usr/bin/", f"={tmp_path}/"))
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        timeout=60 * SLOWNESS,
    )
    assert verified.returncode == 0 and not verified.stderr.strip(), verified.stderr
