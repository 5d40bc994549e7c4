"""The C++ client: a program, and a plugin, that make their calls through plugind::Client."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import grpc
import pytest

from daemon import NOBODY, Daemon
from examples import add_greeter
from processes import eventually
from settings import BUILD, PLUGINS, SLOWNESS

PROGRAM = BUILD / "tests" / "sdk_client_program"
OK = grpc.StatusCode.OK.value[0]
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE.value[0]
PERMISSION_DENIED = grpc.StatusCode.PERMISSION_DENIED.value[0]

# Within this time after plugind's death a channel has to work again.
SOON = 1.0 * SLOWNESS


class Program:
    """One process with one channel; it is told a call a line."""

    def __init__(self, *options: str | Path, file: Path = PROGRAM, **keys: Any) -> None:
        self.process = subprocess.Popen(
            [file, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **keys
        )
        # A program that hangs ends with the test, and not the test with it.
        self._limit = threading.Timer(60 * SLOWNESS, self.process.kill)
        self._limit.start()

    def tell(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, f"the program ended with {self.process.wait()}"
        return json.loads(line)

    def do(self, line: str) -> dict[str, Any]:
        self.tell(line)
        return self.answer()

    def greet(self, seconds: float = 10) -> dict[str, Any]:
        """A call that fails at once if it cannot be sent."""
        return self.do(f"greet {int(seconds * SLOWNESS * 1000)}")

    def close(self) -> int:
        assert self.process.stdin
        self.process.stdin.close()
        code = self.process.wait()
        self._limit.cancel()
        return code


@pytest.fixture
def program(daemon: Daemon) -> Iterator[Callable[..., Program]]:
    """Makes programs that find `daemon` by their environment, unless told otherwise."""
    made: list[Program] = []

    def make(*options: str | Path, **keys: Any) -> Program:
        keys.setdefault("env", {**os.environ, "PLUGIND_SOCKET": str(daemon.socket)})
        made.append(Program(*options, **keys))
        return made[-1]

    yield make
    codes = [each.close() for each in made]
    assert not any(codes), codes


def running(daemon: Daemon, **keys: Any) -> Daemon:
    daemon.plugin("greeter", [PLUGINS / "greeter"], backoff={"initial": "20ms"}, **keys)
    daemon.start().wait_ready("greeter")
    return daemon


def test_a_program_calls_a_plugin_by_its_name(
    daemon: Daemon, program: Callable[..., Program]
) -> None:
    pid = running(daemon).get("greeter").pid
    by_environment = program("--to", "greeter")
    by_path = program("--socket", daemon.socket, "--to", "greeter", env={})
    through_plugind = program("--control")
    for caller in (by_environment, by_path, through_plugind):
        answer = caller.greet()
        assert (answer["code"], answer["message"], answer["pid"]) == (OK, "Hello, Ada!", pid)
        caller.tell("count 3 0")
        assert [caller.answer()["remaining"] for _ in range(4)] == [3, 2, 1, 0]
        assert caller.answer() == {"code": OK, "text": "", "executed": "unknown"}


def test_a_plugins_own_error_is_passed_on_as_it_is(
    daemon: Daemon, program: Callable[..., Program]
) -> None:
    running(daemon)
    answer = program("--to", "greeter").do("count 1000001 0")
    assert answer == {
        "code": grpc.StatusCode.INVALID_ARGUMENT.value[0],
        "text": "from is at most 1000000 and interval_ms at most 10000",
        "executed": "unknown",
    }


def test_a_channel_works_again_within_a_second_of_plugind_s_death(
    daemon: Daemon, program: Callable[..., Program]
) -> None:
    pid = running(daemon).get("greeter").pid
    callers = [program("--to", "greeter"), program("--control")]
    for _ in range(5):
        for caller in callers:
            assert caller.greet()["code"] == OK
            killed = daemon.kill_brain()
            died = time.monotonic()
            lost = []
            # What is sent before the death shows is lost; who sends it again gets through.
            while (answer := caller.greet())["code"] == UNAVAILABLE:
                assert time.monotonic() - died < SOON, lost
                lost.append(answer["text"])
            took = time.monotonic() - died
            assert answer["code"] == OK and answer["pid"] == pid, answer
            assert took < SOON, lost
            daemon.wait_brain_after(killed)


def test_who_was_idle_when_plugind_died_does_not_notice(
    daemon: Daemon, program: Callable[..., Program]
) -> None:
    names = ["greeter", "second", "third", "fourth"]
    for name in names[1:]:
        daemon.plugin(name, [PLUGINS / "greeter"])
    running(daemon).wait_ready(*names)
    caller = program("--to", *names)
    for _ in range(5):
        assert caller.greet()["code"] == OK
        assert [caller.answer()["code"] for _ in names[1:]] == [OK, OK, OK]
        killed = daemon.kill_brain()
        daemon.wait_brain_after(killed)
        # Nothing in that program has waited for anything meanwhile: it learns of it now.
        first = caller.greet()
        answers = [first, *(caller.answer() for _ in names[1:])]
        assert [answer["text"] for answer in answers] == ["", "", "", ""]


def test_a_call_that_waits_until_it_can_be_sent_outlasts_a_stop_of_the_daemon(
    daemon: Daemon, program: Callable[..., Program]
) -> None:
    running(daemon)
    caller = program("--to", "greeter")
    assert caller.greet()["code"] == OK
    daemon.stop()
    gone = caller.greet()
    assert gone["code"] == UNAVAILABLE and "reason" not in gone and gone["executed"] == "unknown"
    caller.tell(f"await {int(30_000 * SLOWNESS)}")
    daemon.start().wait_ready("greeter")
    ready = time.monotonic()
    assert caller.answer()["code"] == OK
    # The longest pause between two tries, with its jitter.
    assert time.monotonic() - ready < 2 * SLOWNESS


def test_a_stopped_plugin_is_unavailable_with_its_reason_and_not_executed(
    daemon: Daemon, program: Callable[..., Program]
) -> None:
    running(daemon)
    caller = program("--to", "greeter")
    assert caller.greet()["code"] == OK
    daemon.ctl("stop", "greeter")
    refused = caller.greet()
    assert refused["code"] == UNAVAILABLE, refused
    assert refused["reason"] == "PLUGIN_UNAVAILABLE" and refused["executed"] == "no"
    assert refused["metadata"] == {"plugin": "greeter", "method": "/greeter.v1.Greeter/Greet"}
    daemon.ctl("start", "greeter")
    assert caller.greet()["code"] == OK


def test_a_call_whose_plugin_dies_under_it_may_have_been_executed(
    daemon: Daemon, program: Callable[..., Program]
) -> None:
    pid = running(daemon).get("greeter").pid
    caller = program("--to", "greeter")
    caller.tell("count 1000 1000")
    assert caller.answer() == {"remaining": 1000}
    os.kill(pid, signal.SIGKILL)
    ended = caller.answer()
    assert (ended["code"], ended["reason"], ended["executed"]) == (
        UNAVAILABLE,
        "PLUGIN_RESTARTING",
        "maybe",
    )
    eventually(lambda: caller.greet()["code"] == OK, within=5 * SLOWNESS, what="an answer")


def test_who_may_not_call_is_told_so(
    needs_root: None, daemon: Daemon, program: Callable[..., Program]
) -> None:
    running(daemon)
    # Within reach of another user, as the build tree need not be.
    daemon.root.chmod(0o755)
    copy = Path(shutil.copy(PROGRAM, daemon.root / "program"))
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    denied = program("--to", "greeter", file=copy, **user).greet()
    assert (denied["code"], denied["reason"]) == (PERMISSION_DENIED, "ACCESS_DENIED")
    assert f"uid:{NOBODY} may not call greeter" in denied["text"]
    assert denied["metadata"]["plugin"] == "greeter"


def test_a_plugin_calls_the_peers_that_it_may_call_through_its_own_socket(
    daemon: Daemon, program: Callable[..., Program]
) -> None:
    add_greeter(daemon)
    command = [PROGRAM, "--serve", "greeter"]
    daemon.plugin("friend", command, access={"calls": ["greeter/*"]})
    daemon.plugin("half", command, access={"calls": ["greeter/greeter.v1.Greeter/Greet"]})
    daemon.plugin("stranger", command)
    daemon.start().wait_ready("greeter", "friend", "half", "stranger")
    pid = daemon.get("greeter").pid

    friend, half, stranger = [program("--to", name) for name in ("friend", "half", "stranger")]
    for caller in (friend, half):
        answer = caller.greet()
        assert (answer["code"], answer["pid"]) == (OK, pid), answer
    friend.tell("count 1 0")
    assert [friend.answer()["remaining"] for _ in range(2)] == [1, 0]
    assert friend.answer()["code"] == OK
    for denied in (half.do("count 1 0"), stranger.greet()):
        assert (denied["code"], denied["reason"]) == (PERMISSION_DENIED, "ACCESS_DENIED"), denied
        assert denied["metadata"]["plugin"] == "greeter"
    assert "plugin:stranger may not call greeter" in stranger.greet()["text"]

    # The plugin's channel, too, is there again after plugind's death.
    killed = daemon.kill_brain()
    daemon.wait_brain_after(killed)
    eventually(lambda: friend.greet()["code"] == OK, within=SOON, what="an answer")


def test_a_name_that_is_none_is_refused_at_once(daemon: Daemon) -> None:
    refused = subprocess.run(
        [PROGRAM, "--socket", daemon.socket, "--to", "../plugind"], capture_output=True, text=True
    )
    assert refused.returncode == -signal.SIGABRT and "is no plugin name" in refused.stderr
