"""What an operator does and sees: by pluginctl and by the RPC."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from typing import Any

import grpc
import pytest

from daemon import Daemon, State, error_info, fault, states
from processes import eventually
from settings import BIN, SLOWNESS

# ---- Start, stop, restart, enable, disable: by both ways in ----


class ByRpc:
    @staticmethod
    def change(daemon: Daemon, verb: str, name: str) -> None:
        daemon.change(verb.capitalize(), name)


class ByPluginctl:
    @staticmethod
    def change(daemon: Daemon, verb: str, name: str) -> None:
        daemon.ctl(verb, name)


@pytest.mark.parametrize("way", [ByRpc, ByPluginctl])
def test_an_operator_starts_stops_restarts_disables_and_enables(way: Any, daemon: Daemon) -> None:
    daemon.plugin("one", fault("good"))
    daemon.plugin("other", fault("good"))
    daemon.start()
    first = daemon.wait_ready("one", "other")

    way.change(daemon, "stop", "one")
    stopped = daemon.wait_state("one", "STOPPED")
    assert stopped.pid == 0 and not stopped.wanted and stopped.enabled
    way.change(daemon, "stop", "one")  # no harm in it
    way.change(daemon, "start", "one")
    started = daemon.wait_state("one", "READY")
    assert started.pid != first["one"].pid and started.wanted
    way.change(daemon, "start", "one")
    assert daemon.get("one").pid == started.pid

    way.change(daemon, "restart", "one")
    eventually(
        lambda: daemon.get("one").pid not in (0, started.pid),
        within=10 * SLOWNESS,
        what="another process",
    )
    daemon.wait_state("one", "READY")

    way.change(daemon, "disable", "one")
    assert not daemon.wait_state("one", "STOPPED").enabled
    with pytest.raises(grpc.RpcError) as refused:
        daemon.change("Start", "one")
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert error_info(refused.value).reason == "PLUGIN_DISABLED"
    way.change(daemon, "enable", "one")
    daemon.wait_state("one", "READY")
    assert daemon.get("other").pid == first["other"].pid


def test_a_name_that_nobody_knows(daemon: Daemon) -> None:
    daemon.plugin("one", fault("good"))
    daemon.start()
    for call in (
        lambda: daemon.get("nobody"),
        lambda: daemon.change("Start", "nobody"),
        lambda: daemon.logs("nobody"),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            call()
        assert refused.value.code() == grpc.StatusCode.NOT_FOUND
        info = error_info(refused.value)
        assert info.domain == "plugind" and info.reason == "PLUGIN_NOT_FOUND"
    daemon.ctl("status", "nobody", code=4)
    daemon.ctl("stop", "nobody", code=4)


@pytest.mark.parametrize("verb", ["Stop", "Disable"])
def test_what_an_operator_stopped_stays_so_after_a_restart_of_the_daemon(
    verb: str, daemon: Daemon
) -> None:
    daemon.plugin("one", fault("good"))
    daemon.plugin("other", fault("good"))
    daemon.start().wait_ready("one", "other")
    daemon.change(verb, "one")
    daemon.wait_state("one", "STOPPED")
    daemon.stop()
    daemon.start().wait_ready("other")
    plugin = daemon.get("one")
    assert (
        State.Name(plugin.state) == "STOPPED"
        and not plugin.wanted
        and plugin.enabled == (verb == "Stop")
    )
    daemon.change("Start" if verb == "Stop" else "Enable", "one")
    daemon.wait_ready("one")


def test_pluginctl_waits_for_a_state_and_says_when_time_is_up(daemon: Daemon) -> None:
    daemon.plugin("one", fault("good"), enabled=False)
    daemon.plugin("hangs", fault("never-prints"), start_timeout="60s")
    daemon.start()
    waiting = subprocess.Popen(
        [
            BIN / "pluginctl",
            "--socket",
            daemon.socket,
            "wait",
            "one",
            "--for",
            "READY",
            "--timeout",
            f"{int(20 * SLOWNESS)}s",
        ]
    )
    daemon.ctl("enable", "one")
    assert waiting.wait(20 * SLOWNESS) == 0
    daemon.ctl("wait", "one", "--for", "STOPPED", "--timeout", "100ms", code=7)
    daemon.ctl("restart", "hangs", "--timeout", "200ms", code=7)
    daemon.ctl("restart", "hangs", "--no-wait")
    daemon.ctl("stop", "hangs")


def test_exit_codes_of_pluginctl(daemon: Daemon) -> None:
    daemon.ctl("status", code=5)
    daemon.plugin("bad", fault("wrong-core"))
    daemon.plugin("one", fault("good"))
    daemon.start().wait_ready("one")
    daemon.wait_state("bad", "FAILED")
    daemon.ctl("status")
    daemon.ctl("status", "--check", code=3)
    daemon.ctl("no-such-verb", code=2)
    daemon.ctl("start", code=2)
    failed = daemon.ctl("start", "bad", code=1)
    assert "core protocol version" in failed.stderr and failed.stdout == ""
    daemon.ctl("stop", "bad")
    daemon.ctl("version")


def test_status_is_a_table_and_a_json_document(daemon: Daemon) -> None:
    daemon.plugin("one", fault("good"))
    daemon.plugin("another-one", fault("good"), enabled=False)
    daemon.start().wait_ready("one")
    table = daemon.ctl("status").stdout
    assert "\x1b" not in table
    lines = table.splitlines()
    assert any(re.match(r"one\s+.*READY", line) for line in lines), table
    assert any(re.match(r"another-one\s+.*STOPPED", line) for line in lines), table
    one = json.loads(daemon.ctl("status", "one", "-o", "json").stdout)
    assert one["plugins"][0]["name"] == "one" if "plugins" in one else one["name"] == "one"
    assert set(daemon.status()) == {"one", "another-one"}


# ---- Logs and events ----


def test_logs_are_structured_and_followed(daemon: Daemon) -> None:
    daemon.plugin("one", fault("good", "lines=20"))
    daemon.start().wait_ready("one")
    follower = subprocess.Popen(
        [BIN / "pluginctl", "--socket", daemon.socket, "logs", "one", "-f", "-n", "2"],
        stdout=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background has it ignored, and pluginctl leaves it so.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert follower.stdout
    numbers = [int(re.search(r"line (\d+)", follower.stdout.readline())[1]) for _ in range(10)]
    follower.send_signal(signal.SIGINT)
    follower.communicate(timeout=10 * SLOWNESS)
    assert numbers == list(range(numbers[0], numbers[0] + 10))
    document = daemon.ctl("logs", "one", "-n", "3", "-o", "json").stdout
    assert document.count("line ") == 3
    entry = daemon.logs("one", tail=1)[0]
    assert (
        entry.source == entry.STDOUT
        and entry.instance == daemon.get("one").instance
        and entry.time.seconds
    )


def test_a_line_of_a_plugin_forges_nothing(daemon: Daemon) -> None:
    lines = [
        '{"@level":"warn","@message":"two\\nlines","@module":"m","n":1}',
        '{"@message":1}',
        "red \x1b[31m and a bell \x07",
        '{"level":"error","msg":"from slog"}',
    ]
    daemon.plugin("one", fault("exits", "says=" + "\n".join(lines), "exit=1"), restart="never")
    daemon.start()
    daemon.wait_log("one", lambda entry: "from slog" in entry.message)
    entries = [entry for entry in daemon.logs("one") if entry.source == entry.STDERR]
    assert len(entries) == len(lines)
    assert not any(
        ord(character) < 32 or character == "\x7f"
        for entry in entries
        for character in entry.message
    )
    assert entries[0].level == entries[0].WARN and entries[0].module == "m"
    assert [(f.key, f.value) for f in entries[0].fields] == [("n", "1")]
    assert entries[3].level == entries[3].ERROR and entries[3].message == "from slog"
    printed = daemon.ctl("logs", "one").stdout
    assert "\x1b" not in printed and "\x07" not in printed


def test_a_watcher_resumes_from_a_number(daemon: Daemon) -> None:
    daemon.plugin("one", fault("good"))
    daemon.start().wait_ready("one")
    daemon.ctl("restart", "one")
    every = daemon.events()
    assert [event.sequence for event in every] == list(range(1, len(every) + 1))
    assert all(event.type and event.time.seconds and event.plugin == "one" for event in every)
    assert states(every)[:3] == ["WAITING", "STARTING", "READY"]
    # Each event begins where the one before it ended.
    assert all(getattr(later, "from") == earlier.to for earlier, later in zip(every, every[1:]))
    assert daemon.events(from_sequence=3) == every[2:]
    assert len(daemon.ctl("events").stdout.splitlines()) >= len(every)
