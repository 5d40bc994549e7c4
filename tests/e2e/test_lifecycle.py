"""What an operator does with plugins that behave: by pluginctl, by the RPC and by signals."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path
from typing import Any, Callable

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from health.v1 import health_pb2
from plugind.control.v1 import control_pb2
from reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import greeter_pb2
import greeter_pb2_grpc
import kv_pb2
import kv_pb2_grpc
import wordcount_pb2
import wordcount_pb2_grpc
from daemon import NOBODY, Daemon, State, error_info, fault
from processes import eventually
from requirements import need_go_plugin
from settings import BIN, PLUGINS, SLOWNESS, SOURCE


# ---- The example plugins ----

def add_greeter(daemon: Daemon) -> None:
    daemon.plugin("greeter", [PLUGINS / "greeter"], backoff={"initial": "20ms"}, config={"greeting": "Hello"})


def add_kv(daemon: Daemon) -> None:
    need_go_plugin()
    daemon.plugin("kv", [PLUGINS / "kv"], backoff={"initial": "20ms"},
                  magic_cookie={"key": "BASIC_PLUGIN", "value": "hello"})


def add_wordcount(daemon: Daemon) -> None:
    daemon.plugin("wordcount", [PLUGINS / "wordcount" / "wordcount.py"], backoff={"initial": "20ms"})


def call_greeter(daemon: Daemon) -> None:
    stub = greeter_pb2_grpc.GreeterStub(daemon.plugin_channel("greeter"))
    answer = stub.Greet(greeter_pb2.GreetRequest(name="Ada"), timeout=5 * SLOWNESS, wait_for_ready=True)
    assert "Ada" in answer.message and answer.pid == daemon.get("greeter").pid
    countdown = stub.Countdown(greeter_pb2.CountdownRequest(**{"from": 3}), timeout=5 * SLOWNESS)
    assert [step.remaining for step in countdown] == [3, 2, 1, 0]


def call_kv(daemon: Daemon) -> None:
    stub = kv_pb2_grpc.KVStub(daemon.plugin_channel("kv"))
    stub.Put(kv_pb2.PutRequest(key="color", value=b"green"), timeout=5 * SLOWNESS, wait_for_ready=True)
    assert stub.Get(kv_pb2.GetRequest(key="color"), timeout=5 * SLOWNESS).value == b"green"


def call_wordcount(daemon: Daemon) -> None:
    stub = wordcount_pb2_grpc.WordCountStub(daemon.plugin_channel("wordcount"))
    request = wordcount_pb2.CountRequest(text="to be or not to be\n")
    answer = stub.Count(request, timeout=5 * SLOWNESS, wait_for_ready=True)
    assert (answer.words, answer.lines, answer.bytes) == (6, 1, 19)


EXAMPLES = {
    "greeter": (add_greeter, call_greeter),
    "kv": (add_kv, call_kv),
    "wordcount": (add_wordcount, call_wordcount),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_plugin_is_called_killed_and_called_again(name: str, daemon: Daemon) -> None:
    add, call = EXAMPLES[name]
    add(daemon)
    daemon.start()
    pid = daemon.wait_state(name, "READY").pid
    call(daemon)
    since = daemon.info().event_sequence + 1
    os.kill(pid, signal.SIGKILL)
    daemon.wait_event(name, lambda e: State.Name(e.to) == "READY", since=since, what="READY again")
    plugin = daemon.get(name)
    assert plugin.restarts == 1 and plugin.last_exit.signal == signal.SIGKILL and plugin.last_exit.pid == pid
    assert plugin.pid != pid
    call(daemon)
    status = daemon.status()[name]
    assert status["state"] == "READY" and status["restarts"] == 1 and status["lastExit"]["signal"] == 9
    assert status["pid"] == plugin.pid and status["directAddress"] == plugin.direct_address


def test_all_three_by_the_shipped_configuration(make_daemon: Callable[..., Daemon]) -> None:
    need_go_plugin()
    daemon = make_daemon()
    shipped = SOURCE / "config"
    for file in sorted((shipped / "plugins.d").glob("*.toml")):
        # Taken as they are, but for where they lie: relative commands start at the file.
        text = re.sub(r'"((?:\.\./)+)([^"]*)"', lambda m: json.dumps(str((file.parent / m[1] / m[2]).resolve())),
                      file.read_text())
        text = text.replace(str(SOURCE / "build" / "release"), str(BIN.parent))
        (daemon.plugins_dir / file.name).write_text(text)
    daemon.start().wait_ready("greeter", "kv", "wordcount")
    for _, call in EXAMPLES.values():
        call(daemon)
    daemon.stop()


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
    eventually(lambda: daemon.get("one").pid not in (0, started.pid), within=10 * SLOWNESS, what="another process")
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
    for call in (lambda: daemon.get("nobody"), lambda: daemon.change("Start", "nobody"), lambda: daemon.logs("nobody")):
        with pytest.raises(grpc.RpcError) as refused:
            call()
        assert refused.value.code() == grpc.StatusCode.NOT_FOUND
        info = error_info(refused.value)
        assert info.domain == "plugind" and info.reason == "PLUGIN_NOT_FOUND"
    daemon.ctl("status", "nobody", code=4)
    daemon.ctl("stop", "nobody", code=4)


@pytest.mark.parametrize("verb", ["Stop", "Disable"])
def test_what_an_operator_stopped_stays_so_after_a_restart_of_the_daemon(verb: str, daemon: Daemon) -> None:
    daemon.plugin("one", fault("good"))
    daemon.plugin("other", fault("good"))
    daemon.start().wait_ready("one", "other")
    daemon.change(verb, "one")
    daemon.wait_state("one", "STOPPED")
    daemon.stop()
    daemon.start().wait_ready("other")
    plugin = daemon.get("one")
    assert State.Name(plugin.state) == "STOPPED" and not plugin.wanted and plugin.enabled == (verb == "Stop")
    daemon.change("Start" if verb == "Stop" else "Enable", "one")
    daemon.wait_ready("one")


def test_pluginctl_waits_for_a_state_and_says_when_time_is_up(daemon: Daemon) -> None:
    daemon.plugin("one", fault("good"), enabled=False)
    daemon.plugin("hangs", fault("never-prints"), start_timeout="60s")
    daemon.start()
    waiting = subprocess.Popen([BIN / "pluginctl", "--socket", daemon.socket, "wait", "one", "--for", "READY",
                                "--timeout", f"{int(20 * SLOWNESS)}s"])
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
    follower = subprocess.Popen([BIN / "pluginctl", "--socket", daemon.socket, "logs", "one", "-f", "-n", "2"],
                                stdout=subprocess.PIPE, text=True)
    assert follower.stdout
    numbers = [int(re.search(r"line (\d+)", follower.stdout.readline())[1]) for _ in range(10)]
    follower.send_signal(signal.SIGINT)
    follower.communicate(timeout=10 * SLOWNESS)
    assert numbers == list(range(numbers[0], numbers[0] + 10))
    document = daemon.ctl("logs", "one", "-n", "3", "-o", "json").stdout
    assert document.count("line ") == 3
    entry = daemon.logs("one", tail=1)[0]
    assert entry.source == entry.STDOUT and entry.instance == daemon.get("one").instance and entry.time.seconds


def test_a_line_of_a_plugin_forges_nothing(daemon: Daemon) -> None:
    lines = [
        '{"@level":"warn","@message":"two\\nlines","@module":"m","n":1}',
        '{"@message":1}',
        'red \x1b[31m and a bell \x07',
        '{"level":"error","msg":"from slog"}',
    ]
    daemon.plugin("one", fault("exits", "says=" + "\n".join(lines), "exit=1"), restart="never")
    daemon.start()
    daemon.wait_log("one", lambda entry: "from slog" in entry.message)
    entries = [entry for entry in daemon.logs("one") if entry.source == entry.STDERR]
    assert len(entries) == len(lines)
    assert not any(ord(character) < 32 or character == "\x7f" for entry in entries for character in entry.message)
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
    assert [State.Name(event.to) for event in every][:3] == ["WAITING", "STARTING", "READY"]
    # Each event begins where the one before it ended.
    assert all(getattr(later, "from") == earlier.to for earlier, later in zip(every, every[1:]))
    assert daemon.events(from_sequence=3) == every[2:]
    assert len(daemon.ctl("events").stdout.splitlines()) >= len(every)


# ---- Configuration: --check-config, reload ----

def test_every_problem_of_a_configuration_is_named_with_its_place(daemon: Daemon) -> None:
    daemon.plugin("good", fault("good"))
    (daemon.plugins_dir / "bad.toml").write_text('comand = ["x"]\nstart_timeout = 5\n')
    (daemon.plugins_dir / "worse.toml").write_text('command = ["x"]\nafter = ["nobody"]\n[health]\ninterval = "never"\n')
    check = subprocess.run([*daemon.command(), "--check-config"], capture_output=True, text=True)
    assert check.returncode == 78
    said = check.stdout + check.stderr
    for place in (r"bad\.toml:1:1.*comand.*command", r"bad\.toml:2:\d+", r"worse\.toml:2:\d+.*nobody",
                  r"worse\.toml:4:\d+"):
        assert re.search(place, said), f"{place} is not in {said}"
    document = json.loads(subprocess.run([*daemon.command(), "--check-config", "-o", "json"], capture_output=True,
                                         text=True).stdout)
    assert "comand" in json.dumps(document)
    daemon.launch()
    daemon.wait_ended(code=78)


def test_a_cycle_is_an_error_of_the_configuration(daemon: Daemon) -> None:
    daemon.plugin("a", fault("good"), after=["b"])
    daemon.plugin("b", fault("good"), after=["c"])
    daemon.plugin("c", fault("good"), after=["a"])
    check = subprocess.run([*daemon.command(), "--check-config"], capture_output=True, text=True)
    assert check.returncode == 78 and re.search(r"a.*b.*c", check.stdout + check.stderr, re.S)
    daemon.remove_plugin("c")
    daemon.plugin("c", fault("good"))
    assert subprocess.run([*daemon.command(), "--check-config"]).returncode == 0


def test_start_order_follows_after(daemon: Daemon) -> None:
    daemon.plugin("a", fault("good"), after=["b"])
    daemon.plugin("b", fault("good"), after=["c"])
    daemon.plugin("c", fault("prints-before-listening", "after_ms=300"))
    daemon.start().wait_ready("a", "b", "c")
    order = [(e.plugin, State.Name(e.to)) for e in daemon.events() if State.Name(e.to) in ("STARTING", "READY")]
    assert order == [(name, state) for name in "cba" for state in ("STARTING", "READY")]
    # And a plugin that waits says for whom.
    daemon.ctl("stop", "a", "b")
    daemon.ctl("start", "a", "--no-wait")
    waiting = daemon.wait_state("a", "WAITING")
    assert "b" in waiting.reason
    daemon.ctl("start", "b")
    daemon.wait_ready("a")


def by_sighup(daemon: Daemon) -> None:
    loaded = daemon.info().config_loaded_at
    assert daemon.process
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: daemon.info().config_loaded_at != loaded, within=10 * SLOWNESS, what="the new configuration")


def by_rpc(daemon: Daemon) -> None:
    response = daemon.reload()
    assert list(response.added) == ["added"] and list(response.removed) == ["removed"]
    assert list(response.changed) == ["changed"] and list(response.updated) == ["updated"]
    assert list(response.unchanged) == ["unchanged"]


def by_pluginctl(daemon: Daemon) -> None:
    daemon.ctl("reload")


@pytest.mark.parametrize("way", [by_sighup, by_rpc, by_pluginctl])
def test_a_reload_touches_only_what_changed(way: Callable[[Daemon], None], daemon: Daemon) -> None:
    for name in ("removed", "changed", "updated", "unchanged"):
        daemon.plugin(name, fault("good"))
    daemon.start()
    before = daemon.wait_ready("removed", "changed", "updated", "unchanged")
    daemon.remove_plugin("removed")
    daemon.plugin("added", fault("good"))
    daemon.plugin("changed", fault("good", "lines=1000"))
    daemon.plugin("updated", fault("good"), health={"interval": "1s"})
    way(daemon)
    daemon.wait_ready("added")
    eventually(lambda: "removed" not in daemon.list(), within=10 * SLOWNESS, what="the removed plugin is gone")
    eventually(lambda: daemon.get("changed").pid not in (0, before["changed"].pid), within=10 * SLOWNESS,
               what="the changed plugin is another process")
    daemon.wait_ready("changed")
    for name in ("updated", "unchanged"):
        assert daemon.get(name).pid == before[name].pid and daemon.get(name).restarts == 0
    assert not daemon.processes_of("removed")


@pytest.mark.parametrize("way", ["sighup", "rpc"])
def test_a_bad_file_leaves_the_old_configuration_live_and_whole(way: str, daemon: Daemon) -> None:
    daemon.plugin("one", fault("good"))
    daemon.plugin("two", fault("good"))
    daemon.start()
    before = daemon.wait_ready("one", "two")
    daemon.plugin("added", fault("good"))
    daemon.plugin("one", fault("good", "lines=1000"))
    (daemon.plugins_dir / "two.toml").write_text('comand = ["x"]\nafter = 3\n')
    problems = (r"two\.toml:1:1", r"two\.toml:2:\d+")
    if way == "rpc":
        with pytest.raises(grpc.RpcError) as refused:
            daemon.reload()
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert error_info(refused.value).reason == "CONFIG_INVALID"
        details = {k: v for k, v in refused.value.trailing_metadata()}["grpc-status-details-bin"]
        bad = error_details_pb2.BadRequest()
        assert any(detail.Unpack(bad) for detail in status_pb2.Status.FromString(details).details)
        said = "\n".join(f"{violation.field} {violation.description}" for violation in bad.field_violations)
        assert daemon.ctl("reload", code=1).stderr
    else:
        assert daemon.process
        daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: "two.toml:2" in daemon.log_tail(), within=10 * SLOWNESS, what="the problems in the log")
        said = daemon.log_tail()
    for problem in problems:
        assert re.search(problem, said), said
    now = daemon.list()
    assert set(now) == {"one", "two"}
    assert {name: plugin.pid for name, plugin in now.items()} == {name: plugin.pid for name, plugin in before.items()}
    # The old one is live: what dies is started again by it.
    os.kill(before["two"].pid, signal.SIGKILL)
    eventually(lambda: daemon.get("two").restarts == 1, within=10 * SLOWNESS, what="a restart by the old configuration")
    daemon.wait_ready("two")


# ---- The daemon's own life ----

@pytest.mark.parametrize("whom", ["plugind", "plugind-keeper"])
def test_sigterm_to_either_stops_everything_in_order(whom: str, daemon: Daemon) -> None:
    for name in ("one", "two", "three"):
        daemon.plugin(name, fault("good"))
    daemon.start().wait_ready("one", "two", "three")
    info = daemon.info()
    os.kill(info.pid if whom == "plugind" else info.keeper_pid, signal.SIGTERM)
    daemon.wait_ended(code=0)
    assert not daemon.processes()
    assert not daemon.socket.exists()


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_is_the_fast_stop(second: signal.Signals, daemon: Daemon) -> None:
    daemon.plugin("stubborn", fault("ignores-sigterm"), stop={"grace": "120s"})
    daemon.start().wait_ready("stubborn")
    watcher = daemon.follow_events(1, "stubborn", 10 * SLOWNESS)
    assert daemon.process
    daemon.process.send_signal(signal.SIGTERM)
    assert any(State.Name(event.to) == "STOPPING" for event in watcher)
    watcher.close()
    began = time.monotonic()
    daemon.process.send_signal(second)
    daemon.wait_ended(code=0)
    assert time.monotonic() - began < 5 * SLOWNESS


def test_a_second_daemon_in_the_same_directory_is_refused(daemon: Daemon) -> None:
    daemon.plugin("one", fault("good"))
    daemon.start()
    pid = daemon.wait_ready("one")["one"].pid
    second = subprocess.run(daemon.command(), capture_output=True, text=True, timeout=20 * SLOWNESS)
    assert second.returncode not in (0, -signal.SIGKILL)
    assert str(daemon.runtime) in second.stderr and "Sanitizer" not in second.stderr, second.stderr
    assert daemon.get("one").pid == pid


def test_a_crash_of_plugind_is_not_noticed_by_its_plugins(daemon: Daemon) -> None:
    daemon.plugin("one", fault("good", "lines=10"))
    daemon.plugin("stopped", fault("good"))
    daemon.start().wait_ready("one", "stopped")
    daemon.change("Stop", "stopped")
    daemon.wait_state("stopped", "STOPPED")
    before, events = daemon.get("one"), daemon.events()
    channel = daemon.plugin_channel("one")
    old = daemon.kill_brain()
    eventually(lambda: daemon.info().pid != old, within=5 * SLOWNESS, what="another plugind")
    after = daemon.wait_ready("one")["one"]
    assert (after.pid, after.instance, after.restarts, after.direct_address) == \
        (before.pid, before.instance, before.restarts, before.direct_address)
    assert State.Name(daemon.get("stopped").state) == "STOPPED"
    assert channel.unary_unary("/fault.v1.Fault/Echo", None, None)(b"x", timeout=5 * SLOWNESS) == b"x"
    assert daemon.events()[:len(events)] == events
    # Health is watched by the new one as by the old one, and so is death.
    os.kill(after.pid, signal.SIGKILL)
    eventually(lambda: daemon.get("one").restarts == 1, within=10 * SLOWNESS, what="a restart")
    daemon.wait_ready("one")


def test_what_a_killed_keeper_left_behind_is_swept_up_by_the_next_start(daemon: Daemon) -> None:
    daemon.plugin("one", fault("good"))
    daemon.start().wait_ready("one")
    os.kill(daemon.keeper_pid, signal.SIGKILL)
    daemon.wait_ended(code=-signal.SIGKILL)
    eventually(lambda: not daemon.processes(), within=1, what="nothing is left")
    daemon.start().wait_ready("one")
    assert os.listdir(daemon.runtime / "i") == [daemon.get("one").instance]


# ---- Who may do what, health, reflection ----

def test_the_socket_serves_its_owner_and_nobody_else(needs_root: None, daemon: Daemon) -> None:
    daemon.plugin("one", fault("good"))
    daemon.start().wait_ready("one")
    assert stat.S_IMODE(daemon.socket.stat().st_mode) == 0o660
    for path in (daemon.root, daemon.runtime):
        path.chmod(0o755)
    daemon.ctl("status", code=6, uid=NOBODY)
    # Even a mode that lets everyone in does not make them welcome.
    daemon.socket.chmod(0o666)
    daemon.ctl("status", code=6, uid=NOBODY)
    daemon.ctl("status")


def test_everything_works_unprivileged(needs_root: None, make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon(uid=NOBODY)
    daemon.plugin("one", fault("good"))
    daemon.plugin("forks", fault("double-forks"))
    add_greeter(daemon)
    daemon.start().wait_ready("one", "forks", "greeter")
    assert all(Path(f"/proc/{process.pid}").stat().st_uid == NOBODY for process in daemon.processes())
    call_greeter(daemon)
    os.kill(daemon.get("one").pid, signal.SIGKILL)
    eventually(lambda: daemon.get("one").restarts == 1, within=10 * SLOWNESS, what="a restart")
    daemon.kill_brain()
    daemon.wait_ready("one", "forks", "greeter")
    daemon.ctl("status", uid=NOBODY)
    daemon.ctl("stop", "forks", uid=NOBODY)
    assert not daemon.processes_of("forks")


def health(daemon: Daemon, service: str) -> int:
    check = daemon.channel.unary_unary("/grpc.health.v1.Health/Check",
                                       request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                                       response_deserializer=health_pb2.HealthCheckResponse.FromString)
    return check(health_pb2.HealthCheckRequest(service=service), timeout=5 * SLOWNESS).status


def test_health_has_an_entry_for_each_plugin(daemon: Daemon) -> None:
    daemon.plugin("one", fault("health-flaps"))
    daemon.start()
    pid = daemon.wait_ready("one")["one"].pid
    status = health_pb2.HealthCheckResponse.ServingStatus
    assert health(daemon, "") == status.Value("SERVING") == health(daemon, "one")
    os.kill(pid, signal.SIGUSR1)
    daemon.wait_state("one", "UNREADY")
    assert health(daemon, "one") == status.Value("NOT_SERVING") and health(daemon, "") == status.Value("SERVING")
    with pytest.raises(grpc.RpcError) as unknown:
        health(daemon, "nobody")
    assert unknown.value.code() == grpc.StatusCode.NOT_FOUND


def test_reflection_describes_every_service_on_the_socket(daemon: Daemon) -> None:
    daemon.plugin("one", fault("good"))
    daemon.start()
    stub = reflection_pb2_grpc.ServerReflectionStub(daemon.channel)

    def ask(**question: str) -> reflection_pb2.ServerReflectionResponse:
        return next(stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(**question)]),
                                              timeout=5 * SLOWNESS, wait_for_ready=True))

    services = {service.name for service in ask(list_services="").list_services_response.service}
    assert {"plugind.control.v1.PluginControl", "grpc.health.v1.Health"} <= services
    for service in services:
        assert ask(file_containing_symbol=service).file_descriptor_response.file_descriptor_proto, service


def test_the_socket_survives_whoever_speaks_nonsense(daemon: Daemon) -> None:
    daemon.plugin("one", fault("good"))
    daemon.start().wait_ready("one")
    for nonsense in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 65536, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 1000):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(str(daemon.socket))
            stranger.sendall(nonsense)
    daemon.ctl("status")


def test_control_rpc_takes_no_paths_and_no_commands() -> None:
    """The promise of interface.md: it names plugins that the configuration defines, and nothing else."""
    requests = [message for name, message in control_pb2.DESCRIPTOR.message_types_by_name.items()
                if name.endswith("Request")]
    allowed = {"name", "follow", "tail", "from_sequence"}
    assert requests and {field.name for message in requests for field in message.fields} <= allowed
