"""`pluginctl call`: every kind of call to the examples through plugind.sock, and how each can fail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from daemon import NOBODY, Daemon, State
from examples import add_greeter, add_kv, add_wordcount
from settings import BIN, SLOWNESS, SOURCE

GREET = "greeter/greeter.v1.Greeter/Greet"
COUNTDOWN = "greeter/greeter.v1.Greeter/Countdown"


@pytest.fixture
def greeter(daemon: Daemon) -> Daemon:
    add_greeter(daemon)
    daemon.start().wait_ready("greeter")
    return daemon


def call(daemon: Daemon, method: str, data: Any = None, *options: str, code: int = 0) -> str:
    """What it prints: on standard error when it is to fail."""
    given = [] if data is None else ["-d", data if isinstance(data, str) else json.dumps(data)]
    done = daemon.ctl("call", method, *given, *options, code=code)
    return done.stderr if code else done.stdout


def begin(daemon: Daemon, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [BIN / "pluginctl", "--socket", daemon.socket, "call", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background has it ignored, and pluginctl leaves it so.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


# ---- What it does ----


def test_one_message_each_way(greeter: Daemon) -> None:
    answer = json.loads(call(greeter, GREET, {"name": "Ada"}))
    assert answer == {"message": "Hello, Ada!", "pid": greeter.get("greeter").pid}
    assert json.loads(call(greeter, GREET))["message"] == "Hello, world!"


def test_a_stream_of_answers_is_printed_as_it_comes(greeter: Daemon) -> None:
    with begin(greeter, COUNTDOWN, "-d", '{"from": 1000, "intervalMs": 50}') as countdown:
        assert countdown.stdout is not None
        assert [json.loads(countdown.stdout.readline()) for _ in range(3)] == [
            {"remaining": 1000},
            {"remaining": 999},
            {"remaining": 998},
        ]
        assert countdown.poll() is None
        countdown.send_signal(signal.SIGINT)
        assert countdown.wait(10 * SLOWNESS) == 130
    steps = call(greeter, COUNTDOWN, {"from": 3}, "--emit-defaults").splitlines()
    assert [json.loads(step)["remaining"] for step in steps] == [3, 2, 1, 0]


def test_a_stream_of_requests_is_sent_as_it_is_typed(daemon: Daemon, tmp_path: Path) -> None:
    add_wordcount(daemon)
    daemon.start().wait_ready("wordcount")
    method = "wordcount/wordcount.v1.WordCount/CountStream"
    assert "wordcount offers no reflection" in call(daemon, method, code=1)
    types = ["--proto", str(SOURCE / "plugins" / "wordcount" / "wordcount.proto")]
    pieces = '{"text": "to be o"}\n{"text": "r not\\n"}'
    expected = {"words": "4", "lines": "1", "bytes": "13"}
    assert json.loads(call(daemon, method, pieces, *types)) == expected
    (tmp_path / "pieces").write_text(pieces)
    assert json.loads(call(daemon, method, f"@{tmp_path / 'pieces'}", *types)) == expected
    with begin(daemon, method, "-d", "-", *types) as typed:
        assert typed.communicate(pieces, timeout=20 * SLOWNESS) == (
            '{"words":"4","lines":"1","bytes":"13"}\n',
            "",
        )


def test_a_plugin_in_go(daemon: Daemon) -> None:
    add_kv(daemon)
    daemon.start().wait_ready("kv")
    call(daemon, "kv/kv.v1.KV/Put", {"key": "color", "value": "Z3JlZW4="})
    assert json.loads(call(daemon, "kv/kv.v1.KV/Get", {"key": "color"})) == {"value": "Z3JlZW4="}
    refused = call(daemon, "kv/kv.v1.KV/Get", {"key": "shape"}, code=1)
    assert refused.startswith("error: NOT_FOUND: ")
    assert "kv.v1.KV" in call(daemon, "kv").splitlines()


def test_what_there_is_to_call(greeter: Daemon) -> None:
    assert "greeter.v1.Greeter" in call(greeter, "greeter").splitlines()
    described = call(greeter, "greeter/greeter.v1.Greeter")
    assert "rpc Greet(.greeter.v1.GreetRequest) returns (.greeter.v1.GreetResponse);" in described
    assert "uint32 interval_ms = 2;" in described


def test_types_from_a_file(greeter: Daemon) -> None:
    proto = SOURCE / "plugins" / "greeter" / "greeter.proto"
    answer = call(greeter, GREET, {"name": "Ada"}, "--proto", str(proto))
    assert json.loads(answer)["message"] == "Hello, Ada!"


def test_a_large_message(greeter: Daemon, tmp_path: Path) -> None:
    name = "x" * (3 << 20)
    (tmp_path / "large").write_text(json.dumps({"name": name}))
    answer = call(greeter, GREET, f"@{tmp_path / 'large'}")
    assert json.loads(answer)["message"] == f"Hello, {name}!"


# ---- When the plugin is in trouble ----


def test_a_call_to_a_plugin_that_was_just_killed_waits_for_the_next_one(greeter: Daemon) -> None:
    old = greeter.get("greeter").pid
    since = greeter.info().event_sequence + 1
    os.kill(old, signal.SIGKILL)
    # A call that is on its way to the dying process may end with it; those after this do not.
    greeter.wait_event("greeter", lambda event: event.to != State.READY, since=since)
    assert json.loads(call(greeter, GREET))["pid"] != old


def test_a_call_that_the_plugin_dies_under_says_that_it_may_have_run(greeter: Daemon) -> None:
    with begin(greeter, COUNTDOWN, "-d", '{"from": 1000, "intervalMs": 100}') as countdown:
        assert countdown.stdout is not None
        countdown.stdout.readline()
        os.kill(greeter.get("greeter").pid, signal.SIGKILL)
        _, errors = countdown.communicate(timeout=20 * SLOWNESS)
        assert countdown.returncode == 1
    assert errors.startswith("error: UNAVAILABLE: ")
    assert "executed: maybe" in errors


def test_a_plugin_that_was_stopped(greeter: Daemon) -> None:
    greeter.ctl("stop", "greeter")
    errors = call(greeter, GREET, code=1)
    assert errors.startswith("error: ") and "greeter" in errors


# ---- Exit codes ----


def test_what_cannot_be_sent_is_wrong_usage(greeter: Daemon) -> None:
    assert "nme: Cannot find field." in call(greeter, GREET, {"nme": "Ada"}, code=2)
    assert "parse error at line 1, column " in call(greeter, GREET, '{"name" "Ada"}', code=2)
    assert "te is set by gRPC itself" in call(greeter, GREET, {}, "-H", "te: trailers", code=2)


def test_a_name_that_is_unknown(greeter: Daemon) -> None:
    for target in ("greter", "greter/greeter.v1.Greeter", "greter/greeter.v1.Greeter/Greet"):
        assert 'did you mean "greeter"?' in call(greeter, target, code=4)
    assert 'did you mean "Greet"?' in call(greeter, "greeter/greeter.v1.Greeter/Gret", code=1)
    assert "it has greeter.v1.Greeter" in call(greeter, "greeter/no.Such/Greet", code=1)


def test_an_error_of_the_plugin(greeter: Daemon) -> None:
    errors = call(greeter, COUNTDOWN, {"from": 2_000_000}, code=1)
    assert errors.startswith("error: INVALID_ARGUMENT: from is at most 1000000")


def test_a_deadline_that_passes(greeter: Daemon) -> None:
    errors = call(
        greeter, COUNTDOWN, {"from": 100, "intervalMs": 1000}, "--timeout", "300ms", code=7
    )
    assert errors.startswith("error: DEADLINE_EXCEEDED: ")


def test_a_caller_who_may_not(needs_root: None, greeter: Daemon) -> None:
    errors = greeter.ctl("call", GREET, code=6, uid=NOBODY).stderr
    assert "denied" in errors.lower()


def test_a_daemon_that_is_not_there(greeter: Daemon) -> None:
    greeter.stop()
    assert "cannot reach plugind" in call(greeter, GREET, code=5)
