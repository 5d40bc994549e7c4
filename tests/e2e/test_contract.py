"""The plugin contract: what is negotiated, settings that change under load, what is refused and how it says so, and
what a plugin may ask of its host."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import pytest
from plugind.control.v1 import control_pb2
from plugind.host.v1 import host_pb2

from daemon import CHANNEL_OPTIONS, Daemon
from h2_client import Call, Outcome, perform
from processes import eventually
from settings import BIN, BUILD, PLUGINS, RELOADS, SLOWNESS

HERE = Path(__file__).resolve().parent
BUILT_IN = ["config.reload", "drain", "peer.calls", "log.structured", "trace"]
HOST = "/plugind.host.v1.Host/"
PERMISSION_DENIED = 7


def add_contract(daemon: Daemon, name: str, orders: dict[str, Any], **keys: Any) -> None:
    orders.setdefault("capabilities", [[one, ["1.0"], False] for one in BUILT_IN])
    keys["env"] = {"CONTRACT_STUBS": str(BUILD / "tests" / "stubs"), **keys.get("env", {})}
    command = [sys.executable, "-B", HERE / "contract_plugin.py", json.dumps(orders)]
    daemon.plugin(name, command, **keys)


def add_greeter(daemon: Daemon, greeting: str, **keys: Any) -> None:
    daemon.plugin("greeter", [PLUGINS / "greeter"], config={"greeting": greeting}, **keys)


def channel_to(daemon: Daemon, name: str) -> grpc.Channel:
    return grpc.insecure_channel(
        f"unix:{daemon.runtime}/plugins/{name}.sock", options=CHANNEL_OPTIONS
    )


def seen(daemon: Daemon, name: str) -> dict[str, Any]:
    with channel_to(daemon, name) as channel:
        answer = channel.unary_unary("/contract.v1.Contract/Seen", None, None)
        return json.loads(answer(b"", timeout=10 * SLOWNESS))


def ask(daemon: Daemon, name: str, path: str, **call: Any) -> Outcome:
    """A call that the plugin makes, by its own door unless told otherwise."""
    with channel_to(daemon, name) as channel:
        order = json.dumps({"path": path, **call}).encode()
        answer = channel.unary_unary("/contract.v1.Contract/Ask", None, None)
        return Outcome(**json.loads(answer(order, timeout=20 * SLOWNESS)))


def answered(daemon: Daemon, name: str) -> control_pb2.Settings:
    """The plugin's settings once it has answered to what it was handed."""
    eventually(
        lambda: not daemon.get(name).settings.pending, within=20 * SLOWNESS, what="an answer"
    )
    return daemon.get(name).settings


def pluginctl(daemon: Daemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "pluginctl", "--socket", daemon.socket, *arguments],
        capture_output=True,
        text=True,
        timeout=60 * SLOWNESS,
    )


# ---- Negotiation


def test_a_plugin_says_who_it_is_and_both_keep_what_they_agree_on(daemon: Daemon) -> None:
    add_greeter(daemon, "Hi", capabilities={"require": ["greeter.v1"], "offer": {"later": "1.0"}})
    plugin = daemon.start().wait_ready("greeter")["greeter"]
    assert plugin.plugin_version == "1.0.0"
    assert plugin.sdk.startswith("c++ ")
    assert "greeter.v1.Greeter" in plugin.services
    assert plugin.capabilities["greeter.v1"] == "1.0" and "later" not in plugin.capabilities
    assert plugin.capabilities["config.reload"] == "1.0"
    assert plugin.settings.generation == 1
    shown = json.loads(pluginctl(daemon, "status", "-o", "json").stdout)["plugins"][0]
    assert shown["capabilities"]["greeter.v1"] == "1.0"
    assert "greeter.v1 1.0" in pluginctl(daemon, "status", "greeter").stdout


def test_what_one_side_requires_and_the_other_lacks_fails_the_start_with_both_lists(
    daemon: Daemon,
) -> None:
    add_contract(daemon, "lacks", {}, capabilities={"require": ["gpu"]})
    add_contract(daemon, "wants", {"capabilities": [["gpu", ["2.0"], True]]})
    add_contract(
        daemon,
        "older",
        {"capabilities": [["gpu", ["1.0"], False]]},
        capabilities={"offer": {"gpu": "2.3"}, "require": ["gpu"]},
    )
    daemon.start()
    for name, missing in (("lacks", "required by the host"), ("wants", "required by the plugin")):
        plugin = daemon.wait_state(name, "FAILED")
        assert f"gpu ({missing})" in plugin.reason, plugin.reason
        assert "the host has" in plugin.reason and "the plugin has" in plugin.reason
        assert plugin.restarts == 0
    older = daemon.wait_state("older", "FAILED").reason
    assert "the plugin has gpu 1.0" in older and "gpu 2.3 (required)" in older


@pytest.mark.parametrize(
    ("orders", "words"),
    [
        ({"code": {"Negotiate": 13}}, 'it did not negotiate: as told'),
        ({"services": ["not a name"]}, "is no service's full name"),
        ({"capabilities": [["x", ["one"], False]]}, "not MAJOR.MINOR"),
        ({"capabilities": [["x", ["1.0"], False]] * 300}, "300 capabilities, more than 256"),
        ({"schema_bytes": 300_000}, "300000 bytes, more than 262144"),
        ({"schema": '{"type": 7}'}, "config_schema"),
        ({"schema": "{"}, "config_schema"),
    ],
    ids=["an error", "a service", "a version", "many", "a long schema", "a bad schema", "no JSON"],
)
def test_an_answer_that_breaks_the_contract_is_refused_by_name(
    daemon: Daemon, orders: dict[str, Any], words: str
) -> None:
    add_contract(daemon, "c", orders, restart="never")
    plugin = daemon.start() and daemon.wait_state("c", "FAILED")
    assert words in plugin.reason


def test_a_plugin_without_the_rest_of_the_contract_is_served_all_the_same(daemon: Daemon) -> None:
    add_contract(daemon, "c", {"without": ["Configure", "Drain", "Shutdown"]}, config={"x": 1})
    plugin = daemon.start().wait_ready("c")["c"]
    assert plugin.plugin_version == "1.0.0" and not plugin.HasField("settings")
    daemon.wait_log("c", lambda entry: "takes no settings" in entry.message)
    daemon.change("Stop", "c")
    assert daemon.wait_state("c", "STOPPED").last_exit.code == 0


def test_a_start_that_hangs_in_the_contract_says_where(daemon: Daemon) -> None:
    add_contract(daemon, "n", {"hang": ["Negotiate"]}, start_timeout="2s", restart="never")
    add_contract(daemon, "c", {"hang": ["Configure"]}, start_timeout="2s", restart="never")
    daemon.start()
    for name, phase in (("n", "negotiate"), ("c", "configure")):
        assert f'"{phase}"' in daemon.wait_state(name, "FAILED").reason


def test_what_was_agreed_outlives_plugind(daemon: Daemon) -> None:
    add_greeter(daemon, "Hi")
    before = daemon.start().wait_ready("greeter")["greeter"]
    add_greeter(daemon, "Hello again")
    daemon.wait_brain_after(daemon.kill_brain())
    after = daemon.wait_ready("greeter")["greeter"]
    assert (after.pid, after.plugin_version) == (before.pid, before.plugin_version)
    assert dict(after.capabilities) == dict(before.capabilities)
    assert after.settings.generation == 1, "what is in the files comes into force by a reload"
    daemon.reload()
    assert answered(daemon, "greeter").generation == 2
    assert daemon.get("greeter").pid == before.pid


# ---- Settings


@pytest.mark.campaign
def test_hot_reloads_under_load_lose_no_call_and_restart_nothing(daemon: Daemon) -> None:
    from greeter_pb2 import GreetRequest, GreetResponse

    add_greeter(daemon, "0")
    before = daemon.start().wait_ready("greeter")["greeter"]
    stop = threading.Event()
    outcomes = Counter[str]()
    wrong: list[str] = []

    def call() -> None:
        with channel_to(daemon, "greeter") as channel:
            greet = channel.unary_unary(
                "/greeter.v1.Greeter/Greet",
                GreetRequest.SerializeToString,
                GreetResponse.FromString,
            )
            last = -1
            while not stop.is_set():
                try:
                    answer = greet(GreetRequest(name="x"), timeout=20 * SLOWNESS)
                except grpc.RpcError as error:
                    outcomes[error.code().name] += 1
                    continue
                outcomes["OK"] += 1
                number = int(answer.message.split(",")[0])
                if number < last:
                    wrong.append(f"{number} after {last}")
                last = number

    threads = [threading.Thread(target=call, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1, RELOADS + 1):
        add_greeter(daemon, str(number))
        assert list(daemon.reload().updated) == ["greeter"]
        # Every tenth is waited for; the others may come while one is being taken.
        if number % 10 == 0:
            assert not answered(daemon, "greeter").refused
    settings = answered(daemon, "greeter")
    stop.set()
    for thread in threads:
        thread.join()
    after = daemon.get("greeter")
    print(f"\n{RELOADS} reloads, {settings.generation} handed over, under {dict(outcomes)}")
    assert set(outcomes) == {"OK"} and outcomes["OK"] > RELOADS
    assert not wrong, wrong[:5]
    assert (after.pid, after.restarts, after.instance) == (before.pid, 0, before.instance)
    assert RELOADS / 10 <= settings.generation <= RELOADS + 1
    with channel_to(daemon, "greeter") as channel:
        greet = channel.unary_unary(
            "/greeter.v1.Greeter/Greet", GreetRequest.SerializeToString, GreetResponse.FromString
        )
        assert greet(GreetRequest(name="x"), timeout=10).message == f"{RELOADS}, x!"


@pytest.mark.parametrize(
    ("settings", "why"),
    [({"bad": 1}, "bad: there is no such thing"), ({"worse": 1}, "worse is not to be had")],
    ids=["by field", "as a whole"],
)
def test_refused_settings_leave_the_old_ones_and_everyone_can_see_it(
    daemon: Daemon, settings: dict[str, Any], why: str
) -> None:
    add_contract(daemon, "c", {}, config={"good": 1})
    before = daemon.start().wait_ready("c")["c"]
    add_contract(daemon, "c", {}, config=settings)
    told = pluginctl(daemon, "reload")
    assert told.returncode == 1
    assert f"c: refuses its new settings and goes on with the old ones: {why}" in told.stderr
    after = daemon.get("c")
    assert (after.pid, after.settings.generation) == (before.pid, 1)
    assert after.settings.refused == why
    assert "REFUSED: " + why in pluginctl(daemon, "status", "c").stdout
    refusal = daemon.wait_event("c", lambda event: event.type == "settings-refused")
    assert why in refusal.reason

    # What it had is what it is given when it dies, for nobody has asked for anything else.
    os.kill(after.pid, signal.SIGKILL)
    daemon.wait_event("c", lambda event: event.type == "ready" and event.pid != after.pid)
    again = daemon.wait_ready("c")["c"]
    assert again.settings.refused == why
    assert seen(daemon, "c")["Configure"][0]["settings"] == {"good": 1.0}

    add_contract(daemon, "c", {}, config={"good": 2})
    assert pluginctl(daemon, "reload").returncode == 0
    assert daemon.get("c").settings.refused == ""
    assert seen(daemon, "c")["Configure"][-1]["settings"] == {"good": 2.0}


def test_settings_that_are_refused_at_the_start_fail_it_with_each_reason(daemon: Daemon) -> None:
    add_contract(daemon, "c", {}, config={"bad": True})
    plugin = daemon.start() and daemon.wait_state("c", "FAILED")
    assert plugin.reason == "it refuses its settings: bad: there is no such thing"
    add_contract(daemon, "c", {}, config={})
    assert pluginctl(daemon, "reload").returncode == 0
    daemon.wait_ready("c")


def test_a_plugin_that_did_not_agree_on_reload_is_restarted_for_its_settings(daemon: Daemon) -> None:
    add_contract(daemon, "c", {"capabilities": []}, config={"n": 1})
    before = daemon.start().wait_ready("c")["c"]
    add_contract(daemon, "c", {"capabilities": []}, config={"n": 2})
    assert pluginctl(daemon, "reload").returncode == 0
    after = daemon.wait_ready("c")["c"]
    assert after.pid != before.pid
    assert seen(daemon, "c")["Configure"][-1]["settings"] == {"n": 2.0}


# ---- The end


def test_an_end_is_a_drain_and_a_shutdown_before_any_signal(daemon: Daemon) -> None:
    add_contract(daemon, "c", {})
    daemon.start().wait_ready("c")
    daemon.change("Stop", "c")
    plugin = daemon.wait_state("c", "STOPPED")
    assert (plugin.last_exit.code, plugin.last_exit.signal) == (0, 0)
    printed = [entry.message for entry in daemon.logs("c")]
    assert printed.index("drained") < printed.index("shut down")
    states = [event.type for event in daemon.events(name="c")]
    assert states[-4:] == ["draining", "stopping", "exited", "stopped"] or states[-3:] == [
        "draining",
        "stopping",
        "stopped",
    ]


# ---- What is for hosts, and what is for plugins


def test_nobody_but_plugind_calls_the_contract(daemon: Daemon) -> None:
    add_contract(daemon, "c", {})
    daemon.start().wait_ready("c")
    for service in (
        "plugind.plugin.v1.Plugin/Shutdown",
        "plugind.plugin.v1.Plugin/Configure",
        "plugin.GRPCController/Shutdown",
        "plugin.GRPCBroker/StartStream",
    ):
        outcome = perform(Call(f"{daemon.runtime}/plugins/c.sock", f"/{service}"))
        assert outcome.code == PERMISSION_DENIED and "only plugind itself" in outcome.message
    assert daemon.get("c").state == control_pb2.Plugin.READY


def test_a_plugin_learns_who_it_is_and_whom_it_may_call(daemon: Daemon) -> None:
    add_contract(
        daemon, "c", {}, access={"calls": ["peer/*", "closed/*", "one/contract.v1.Contract/Seen"]}
    )
    add_contract(daemon, "peer", {"version": "2.0.0"})
    add_contract(daemon, "closed", {}, access={"callers": ["uid:4242"]})
    add_contract(daemon, "one", {}, access={"callers": ["plugin:c", "uid:0"]})
    add_contract(daemon, "stranger", {})
    daemon.start().wait_ready("c", "peer", "closed", "one", "stranger")
    me = host_pb2.GetSelfResponse.FromString(
        base64.b64decode(ask(daemon, "c", HOST + "GetSelf").messages[0])
    )
    assert (me.name, me.instance, me.host) == ("c", daemon.get("c").instance, "plugind")
    assert dict(me.capabilities) == {name: "1.0" for name in BUILT_IN}
    listed = host_pb2.ListPeersResponse.FromString(
        base64.b64decode(ask(daemon, "c", HOST + "ListPeers").messages[0])
    )
    peers = {peer.name: peer for peer in listed.peers}
    assert set(peers) == {"peer", "one"}
    assert (peers["peer"].state, peers["peer"].version) == ("READY", "2.0.0")
    assert list(peers["peer"].methods) == ["*"]
    assert list(peers["one"].methods) == ["contract.v1.Contract/Seen"]


def test_a_plugins_own_words_stand_in_its_status_until_it_ends(daemon: Daemon) -> None:
    add_contract(daemon, "c", {})
    daemon.start().wait_ready("c")
    words = host_pb2.SetStatusRequest(text="replaying\x1b[2J, 40 %").SerializeToString()
    message = base64.b64encode(words).decode()
    assert ask(daemon, "c", HOST + "SetStatus", message=message).code == 0
    assert daemon.get("c").status_text == "replaying\\x1b[2J, 40 %"
    assert "replaying" in pluginctl(daemon, "status", "c").stdout
    daemon.wait_brain_after(daemon.kill_brain())
    assert daemon.get("c").status_text.startswith("replaying")
    long = host_pb2.SetStatusRequest(text="x" * 1025).SerializeToString()
    refused = ask(daemon, "c", HOST + "SetStatus", message=base64.b64encode(long).decode())
    assert refused.code == 3 and "1025 bytes" in refused.message
    daemon.change("Restart", "c")
    eventually(
        lambda: not daemon.get("c").status_text, within=20 * SLOWNESS, what="an empty status"
    )
    daemon.wait_ready("c")


def test_the_host_service_is_for_plugins_alone(daemon: Daemon) -> None:
    daemon.start()
    outcome = perform(Call(str(daemon.socket), HOST + "ListPeers"))
    assert outcome.code == PERMISSION_DENIED and "it is for plugins" in outcome.message


def test_a_plugin_that_did_not_agree_on_peer_calls_makes_none(daemon: Daemon) -> None:
    add_contract(daemon, "c", {"capabilities": []}, access={"calls": ["peer/*"]})
    add_contract(daemon, "peer", {})
    daemon.start().wait_ready("c", "peer")
    outcome = ask(
        daemon, "c", "/contract.v1.Contract/Seen", metadata=[("plugind-plugin", "peer")]
    )
    assert outcome.code == PERMISSION_DENIED and "peer.calls" in outcome.message
    audit = [json.loads(line) for line in (daemon.state / "audit.log").read_text().splitlines()]
    assert any("peer.calls" in json.dumps(entry) for entry in audit)


def test_only_a_plugin_that_traces_is_begun_a_trace(daemon: Daemon) -> None:
    add_contract(daemon, "traces", {})
    add_contract(daemon, "does-not", {"capabilities": []})
    daemon.start().wait_ready("traces", "does-not")
    assert "traceparent" in dict(seen(daemon, "traces")["metadata"])
    assert "traceparent" not in dict(seen(daemon, "does-not")["metadata"])
    with contextlib.closing(channel_to(daemon, "does-not")) as channel:
        answer = channel.unary_unary("/contract.v1.Contract/Seen", None, None)
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        got = json.loads(answer(b"", timeout=10 * SLOWNESS, metadata=[("traceparent", trace)]))
    assert dict(got["metadata"])["traceparent"] == trace, "what a caller sends is passed on"
