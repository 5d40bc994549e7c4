"""Who may do what: roles on the control RPC, callers and calls of plugins, attempts to pass for somebody else, and the
record of it all in the audit log.

plugind runs as root here, with callers that the kernel says are other users, and plugins (relay_plugin.py) that call
what they are told to.
"""

from __future__ import annotations

import base64
import collections
import contextlib
import json
import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from google.rpc import error_details_pb2, status_pb2
from plugind.control.v1 import control_pb2

from daemon import NOBODY, Daemon, fault
from h2_client import Call, Outcome, User, perform
from processes import eventually
from settings import BIN, SLOWNESS

pytestmark = pytest.mark.usefixtures("needs_root")  # to be several users

HERE = Path(__file__).resolve().parent
RELAY = [sys.executable, "-B", HERE / "relay_plugin.py"]
CONTROL = "/plugind.control.v1.PluginControl/"
PERMISSION_DENIED, NOT_FOUND, UNIMPLEMENTED, INVALID_ARGUMENT, UNAVAILABLE = 7, 5, 12, 3, 14

VIEWER, OPERATOR, ADMIN, APP = 64301, 64302, 64303, 64304
VIEWERS_GROUP, OPERATORS_GROUP, APPS_GROUP = 64401, 64402, 64403
OWN = 64500  # of a plugind that is not root's

# Everybody by the role that the configuration below gives.
PRINCIPALS = {
    "root": (User(0, 0), "admin"),
    "a viewer by uid": (User(VIEWER, VIEWER), "viewer"),
    "a viewer by group": (User(64310, VIEWERS_GROUP), "viewer"),
    "a viewer by supplementary group": (User(64311, 64311, (64312, VIEWERS_GROUP)), "viewer"),
    "an operator by uid": (User(OPERATOR, OPERATOR), "operator"),
    "an operator by supplementary group": (User(64313, 64313, (OPERATORS_GROUP,)), "operator"),
    "an operator who is also a viewer": (User(OPERATOR, VIEWERS_GROUP), "operator"),
    "an admin": (User(ADMIN, ADMIN), "admin"),
    "an app": (User(APP, APP, (APPS_GROUP,)), "none"),
    "a user whose uid is a group's number": (User(VIEWERS_GROUP, VIEWERS_GROUP + 9), "none"),
    "nobody": (User(NOBODY, NOBODY), "none"),
}
CONTROL_SETTINGS = {
    "viewers": [f"uid:{VIEWER}", f"group:{VIEWERS_GROUP}"],
    "operators": [f"uid:{OPERATOR}", f"group:{OPERATORS_GROUP}"],
    "admins": [f"uid:{ADMIN}"],
}
ROLES = ["none", "viewer", "operator", "admin"]

named = control_pb2.GetPluginRequest(
    name="subject"
)  # every request about one plugin has it in field 1
METHODS: dict[str, tuple[str, bytes, str]] = {
    "ListPlugins": (CONTROL + "ListPlugins", b"", "viewer"),
    "GetPlugin": (CONTROL + "GetPlugin", named.SerializeToString(), "viewer"),
    "ListCalls": (CONTROL + "ListCalls", b"", "viewer"),
    "GetDaemonInfo": (CONTROL + "GetDaemonInfo", b"", "viewer"),
    "StreamLogs": (CONTROL + "StreamLogs", named.SerializeToString(), "viewer"),
    "WatchEvents": (CONTROL + "WatchEvents", b"", "viewer"),
    "Check": ("/grpc.health.v1.Health/Check", b"", "viewer"),
    "Watch": ("/grpc.health.v1.Health/Watch", b"", "viewer"),
    "reflection": (
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        b"\x3a\x00",
        "viewer",
    ),
    "StopPlugin": (CONTROL + "StopPlugin", named.SerializeToString(), "operator"),
    "StartPlugin": (CONTROL + "StartPlugin", named.SerializeToString(), "operator"),
    "DisablePlugin": (CONTROL + "DisablePlugin", named.SerializeToString(), "operator"),
    "EnablePlugin": (CONTROL + "EnablePlugin", named.SerializeToString(), "operator"),
    "RestartPlugin": (CONTROL + "RestartPlugin", named.SerializeToString(), "operator"),
    "Reload one": (CONTROL + "Reload", named.SerializeToString(), "operator"),
    "Reload all": (CONTROL + "Reload", b"", "admin"),
}


def error_info(outcome: Outcome) -> error_details_pb2.ErrorInfo:
    raw = outcome.details + "=" * (-len(outcome.details) % 4)
    info = error_details_pb2.ErrorInfo()
    assert status_pb2.Status.FromString(base64.b64decode(raw)).details[0].Unpack(info)
    return info


class Guarded(Daemon):
    """With its sockets where other users can reach them, and an eye on its audit log."""

    def __init__(self, *, uid: int | None = None, **settings: Any) -> None:
        super().__init__(uid=uid, settings={"control": CONTROL_SETTINGS, **settings})
        self.root.chmod(0o755)
        self.audit_file = self.state / "audit.log"

    def audit(self, **wanted: Any) -> list[dict[str, Any]]:
        # A line that is just being written may be seen in part, where it crosses a page of the file.
        whole, _, _ = self.audit_file.read_text().rpartition("\n")
        lines = [json.loads(line) for line in whole.splitlines()]
        return [line for line in lines if wanted.items() <= line.items()]

    def flush(self) -> None:
        """Has what was only counted so far written down; an intent and an outcome come with it."""
        before = len(self.audit(kind="outcome", method="SIGHUP"))
        os.kill(self.brain_pid, signal.SIGHUP)
        eventually(
            lambda: len(self.audit(kind="outcome", method="SIGHUP")) > before,
            within=10 * SLOWNESS,
            what="the outcome of SIGHUP",
        )

    def denials(self, **wanted: Any) -> int:
        self.flush()
        return sum(line.get("repeated", 1) for line in self.audit(kind="denied", **wanted))

    def call(self, method: str, **keys: Any) -> Call:
        path, message, _ = METHODS[method]
        return Call(
            str(self.socket),
            path,
            message=base64.b64encode(message).decode(),
            first_message_only=method in ("Watch", "reflection"),
            **keys,
        )

    def relay(self, plugin: str, calls: list[Call], how: str = "main") -> list[Outcome]:
        """Made by `plugin`, in one of relay_plugin.py's ways."""
        order = {"as": how, "calls": [vars(call) for call in calls]}
        request = Call(
            str(self.runtime / "plugins" / f"{plugin}.sock"),
            "/relay.v1.Relay/Call",
            message=base64.b64encode(json.dumps(order).encode()).decode(),
            timeout=60,
        )
        answer = perform(request)
        assert answer.code == 0, answer
        return [Outcome(**one) for one in json.loads(base64.b64decode(answer.messages[0]))]

    def seen(self, outcome: Outcome) -> dict[str, list[str]]:
        """The metadata with which a relay was called."""
        assert outcome.code == 0, outcome
        metadata: dict[str, list[str]] = collections.defaultdict(list)
        for key, value in json.loads(base64.b64decode(outcome.messages[0])):
            metadata[key].append(value)
        return metadata


@pytest.fixture
def guarded() -> Iterator[Callable[..., Guarded]]:
    made: list[Guarded] = []

    def make(**keys: Any) -> Guarded:
        made.append(Guarded(**keys))
        return made[-1]

    yield make
    for daemon in made:
        daemon.close()


# ---- Roles ----


def test_the_matrix_has_every_method() -> None:
    service = control_pb2.DESCRIPTOR.services_by_name["PluginControl"]
    assert {CONTROL + method.name for method in service.methods} <= {
        path for path, _, _ in METHODS.values()
    }


def check_matrix(daemon: Guarded, who: str, role: str, outcomes: list[Outcome]) -> None:
    for method, outcome in zip(METHODS, outcomes, strict=True):
        path, _, least = METHODS[method]
        if ROLES.index(role) >= ROLES.index(least):
            assert outcome.code == 0, f"{who} ({role}), {method}: {outcome}"
            continue
        assert outcome.code == PERMISSION_DENIED, f"{who} ({role}), {method}: {outcome}"
        info = error_info(outcome)
        assert (info.domain, info.reason) == ("plugind", "ACCESS_DENIED")
        setting = "viewers" if role == "none" else f"{least}s"
        assert path in outcome.message and f"control.{setting}" in outcome.message, outcome.message


def test_every_role_may_do_what_it_may_and_nothing_else(
    guarded: Callable[..., Guarded],
) -> None:
    daemon = guarded()
    daemon.plugin("subject", fault("good"))
    daemon.start()
    daemon.wait_ready("subject")
    for who, (user, role) in PRINCIPALS.items():
        outcomes = user.perform([daemon.call(method) for method in METHODS])
        check_matrix(daemon, who, role, outcomes)
        for outcome in outcomes:
            if outcome.denied:
                assert f"uid:{user.uid} " in outcome.message
        denied = sum(outcome.denied for outcome in outcomes)
        users = [u for u, _ in PRINCIPALS.values() if u.uid == user.uid]
        if len(users) == 1:
            assert daemon.denials(caller=f"uid:{user.uid}") == denied, who
            changes = [m for m, (_, _, least) in METHODS.items() if ROLES.index(least) >= 2]
            allowed = sum(ROLES.index(METHODS[m][2]) <= ROLES.index(role) for m in changes)
            for kind in ("intent", "outcome"):
                assert len(daemon.audit(kind=kind, caller=f"uid:{user.uid}")) == allowed, who


def test_plugind_s_own_user_is_an_admin_and_root_too(guarded: Callable[..., Guarded]) -> None:
    daemon = guarded(uid=OWN)
    daemon.plugin("subject", fault("good"))
    daemon.start()
    daemon.wait_ready("subject")
    for user, role in (
        (User(OWN, OWN), "admin"),
        (User(0, 0), "admin"),
        (User(NOBODY, NOBODY), "none"),
    ):
        outcomes = user.perform([daemon.call(method) for method in METHODS])
        check_matrix(daemon, str(user), role, outcomes)
    status = daemon.audit_file.stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (OWN, 0o600)


WAYS = ["main", "child", "session", "orphan"]


@pytest.mark.parametrize("how", WAYS)
def test_a_plugin_has_no_role_whatever_its_uid_and_whichever_door_it_takes(
    guarded: Callable[..., Guarded], how: str
) -> None:
    daemon = guarded(control={**CONTROL_SETTINGS, "viewers": ["*"]})
    daemon.plugin("subject", fault("good"))
    daemon.plugin("relay", RELAY)
    daemon.start()
    daemon.wait_ready("subject", "relay")
    outcomes = daemon.relay("relay", [daemon.call(method) for method in METHODS], how)
    check_matrix(daemon, "the plugin", "none", outcomes)
    caller = "plugin:?" if how == "orphan" else "plugin:relay"
    assert daemon.denials(caller=caller) == len(METHODS)
    if how != "orphan":
        through_its_own_door = [
            Call("host", METHODS[m][0], message=daemon.call(m).message) for m in METHODS
        ]
        outcomes = daemon.relay("relay", through_its_own_door, how)
        check_matrix(daemon, "the plugin", "none", outcomes)
    assert not daemon.audit(kind="intent", caller=caller)


def test_a_plugin_is_that_plugin_also_to_the_next_plugind(
    guarded: Callable[..., Guarded],
) -> None:
    daemon = guarded()
    daemon.plugin("relay", RELAY)
    daemon.start()
    daemon.wait_ready("relay")
    daemon.wait_brain_after(daemon.kill_brain())
    daemon.wait_ready("relay")
    for how in WAYS:
        listed, at_its_door = daemon.relay(
            "relay", [daemon.call("ListPlugins"), Call("host", METHODS["ListPlugins"][0])], how
        )
        assert listed.denied
        assert at_its_door.denied or how == "orphan" and at_its_door.code is None
    assert daemon.denials(caller="plugin:relay") == 2 * (len(WAYS) - 1)
    assert perform(daemon.call("ListPlugins")).code == 0


def test_roles_change_with_a_reload(guarded: Callable[..., Guarded]) -> None:
    daemon = guarded()
    daemon.start()
    nobody = User(NOBODY, NOBODY)
    assert nobody.perform([daemon.call("ListPlugins")])[0].denied
    daemon.configure(control={"viewers": ["*"]})
    daemon.reload()
    listed, reloaded = nobody.perform([daemon.call("ListPlugins"), daemon.call("Reload all")])
    assert listed.code == 0 and reloaded.denied
    daemon.configure(control={})
    daemon.reload()
    assert nobody.perform([daemon.call("ListPlugins")])[0].denied


def test_pluginctl_says_what_is_missing_and_exits_with_6(guarded: Callable[..., Guarded]) -> None:
    daemon = guarded()
    daemon.plugin("subject", fault("good"))
    daemon.start()
    daemon.wait_ready("subject")

    def pluginctl(user: User, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BIN / "pluginctl", "--socket", daemon.socket, *words],
            user=user.uid,
            group=user.gid,
            extra_groups=user.groups,
            capture_output=True,
            text=True,
            timeout=20 * SLOWNESS,
            cwd="/",
        )

    viewer, operator = User(VIEWER, VIEWER), User(OPERATOR, OPERATOR)
    nobody = User(NOBODY, NOBODY)
    for user, words, setting in (
        (nobody, ("status",), "control.viewers"),
        (nobody, ("logs", "subject"), "control.viewers"),
        (nobody, ("events",), "control.viewers"),
        (nobody, ("wait", "subject", "--for", "READY"), "control.viewers"),
        (nobody, ("stop", "subject"), "control.viewers"),
        (viewer, ("stop", "subject"), "control.operators"),
        (viewer, ("reload", "subject"), "control.operators"),
        (operator, ("reload",), "control.admins"),
    ):
        done = pluginctl(user, *words)
        assert done.returncode == 6, (words, done)
        assert f"uid:{user.uid}" in done.stderr and setting in done.stderr, (words, done.stderr)
        assert not done.stdout
    assert pluginctl(viewer, "status").returncode == 0
    assert pluginctl(operator, "restart", "subject").returncode == 0


# ---- Callers and calls ----


def app_call(
    daemon: Daemon, plugin: str, method: str = "/relay.v1.Relay/Seen", **keys: Any
) -> Call:
    return Call(str(daemon.runtime / "plugins" / f"{plugin}.sock"), method, **keys)


def test_callers_and_calls_decide_who_calls_which_plugin_and_method(
    guarded: Callable[..., Guarded],
) -> None:
    daemon = guarded()
    callers = {
        "closed": None,
        "byuid": [f"uid:{APP}"],
        "bygroup": [f"group:{APPS_GROUP}"],
        "byplugin": ["plugin:front"],
        "open": ["*"],
    }
    for name, listed in callers.items():
        daemon.plugin(name, RELAY, access={"callers": listed} if listed else {})
    calls = {
        "front": [
            "closed/*",
            "byuid/*",
            "byplugin/relay.v1.Relay/Seen",
            "open/relay.v1.Other/Seen",
        ],
        "back": ["byplugin/*"],
        "mute": None,
    }
    for name, listed in calls.items():
        daemon.plugin(name, RELAY, access={"calls": listed} if listed else {})
    daemon.start()
    daemon.wait_ready(*callers, *calls, within=60)
    methods = ["/relay.v1.Relay/Seen", "/relay.v1.Other/Seen"]

    users = {
        User(0, 0): set(callers),
        User(APP, APP): {"byuid", "open"},
        User(64320, APPS_GROUP): {"bygroup", "open"},
        User(64321, 64321, (64322, APPS_GROUP)): {"bygroup", "open"},
        User(ADMIN, ADMIN): {"open"},  # of the control RPC alone
        User(NOBODY, NOBODY): {"open"},
    }
    for user, allowed in users.items():
        wanted = [(plugin, method) for plugin in callers for method in methods]
        by_socket = [app_call(daemon, plugin, method) for plugin, method in wanted]
        by_name = [
            Call(str(daemon.socket), method, [("plugind-plugin", plugin)])
            for plugin, method in wanted
        ]
        outcomes = user.perform([*by_socket, *by_name])
        for (plugin, method), outcome in zip([*wanted, *wanted], outcomes, strict=True):
            if plugin in allowed:
                assert daemon.seen(outcome)["plugind-caller"] == [f"uid:{user.uid}"], (user, plugin)
            else:
                assert outcome.denied, (user, plugin, method, outcome)
                for word in (f"uid:{user.uid}", plugin, method, "access.callers"):
                    assert word in outcome.message
        assert daemon.denials(caller=f"uid:{user.uid}") == sum(o.denied for o in outcomes)

    both = {(plugin, method) for plugin in callers for method in methods}
    peers = {
        "front": {
            *((plugin, method) for plugin, method in both if plugin == "closed"),
            ("byplugin", methods[0]),
            ("open", methods[1]),
        },
        # byplugin names front alone.
        "back": set(),
        "mute": set(),
    }
    for name, allowed in peers.items():
        wanted = [(plugin, method) for plugin in callers for method in methods]
        through_host = [Call("host", m, [("plugind-plugin", p)]) for p, m in wanted]
        through_front = [Call(str(daemon.socket), m, [("plugind-plugin", p)]) for p, m in wanted]
        through_theirs = [app_call(daemon, p, m) for p, m in wanted]
        outcomes = daemon.relay(name, [*through_host, *through_front, *through_theirs])
        for (plugin, method), outcome in zip(wanted * 3, outcomes, strict=True):
            if (plugin, method) in allowed:
                assert daemon.seen(outcome)["plugind-caller"] == [f"plugin:{name}"]
            else:
                assert outcome.denied, (name, plugin, method, outcome)
                for word in (f"plugin:{name}", plugin, method, "access.ca"):
                    assert word in outcome.message
        assert daemon.denials(caller=f"plugin:{name}") == sum(o.denied for o in outcomes)


# ---- Passing for somebody else ----

SPOOFS = [
    [("plugind-role", "admin")],
    [("plugind-caller", "uid:0"), ("plugind-role", "admin"), ("plugind-pid", "1")],
    [("Plugind-Role", "admin")],
    [("plugind-role", "admin"), ("plugind-role", "admin")],
    [("plugind-role-bin", "YWRtaW4")],
    [("x-forwarded-for", "uid:0"), ("authorization", "root")],
]


@pytest.mark.parametrize("spoof", SPOOFS, ids=str)
def test_metadata_makes_nobody_somebody_else(
    guarded: Callable[..., Guarded], spoof: list[tuple[str, str]]
) -> None:
    daemon = guarded()
    daemon.plugin("relay", RELAY, access={"callers": ["*"]})
    daemon.plugin("mute", RELAY)
    daemon.start()
    daemon.wait_ready("relay", "mute")
    nobody, viewer = User(NOBODY, NOBODY), User(VIEWER, VIEWER)
    control = [
        daemon.call("ListPlugins", metadata=spoof),
        daemon.call("Reload all", metadata=spoof),
    ]
    for outcome in nobody.perform(control):
        assert outcome.denied or outcome.code is None or outcome.code == INVALID_ARGUMENT, outcome
    assert viewer.perform(control)[1].code != 0
    for outcome in daemon.relay("mute", [*control, app_call(daemon, "relay", metadata=spoof)]):
        assert outcome.code != 0, outcome
    assert not daemon.audit(kind="intent", caller=f"uid:{NOBODY}")
    assert not daemon.audit(kind="intent", caller="plugin:mute")
    # Where the call is allowed, what plugins see is the gateway's word and nothing else.
    (outcome,) = nobody.perform([app_call(daemon, "relay", metadata=spoof)])
    if outcome.code == 0:
        seen = daemon.seen(outcome)
        assert seen["plugind-caller"] == [f"uid:{NOBODY}"]
        assert [key for key in seen if key.lower().startswith("plugind-")] == ["plugind-caller"]


@pytest.mark.parametrize(
    "authority",
    [
        "root",
        "uid:0",
        "plugind.sock",
        "0@localhost",
        "",
        "a" * 4000,
        "localhost:0",
        "../plugind.sock",
    ],
)
def test_authority_decides_nothing(guarded: Callable[..., Guarded], authority: str) -> None:
    daemon = guarded()
    daemon.start()
    nobody = User(NOBODY, NOBODY)
    (outcome,) = nobody.perform([daemon.call("ListPlugins", authority=authority)])
    assert outcome.code != 0, outcome
    (outcome,) = User(0, 0).perform([daemon.call("ListPlugins", authority="nobody.example")])
    assert outcome.code == 0


def test_anothers_host_socket_admits_nobody_and_says_so(guarded: Callable[..., Guarded]) -> None:
    daemon = guarded()
    daemon.plugin("trusted", RELAY, access={"calls": ["safe/*"]})
    daemon.plugin("mute", RELAY)
    daemon.plugin("safe", RELAY, access={"callers": ["plugin:trusted"]})
    daemon.start()
    plugins = daemon.wait_ready("trusted", "mute", "safe")
    host = daemon.runtime / "i" / plugins["trusted"].instance / "host.sock"
    own = Call("host", "/relay.v1.Relay/Seen", [("plugind-plugin", "safe")])
    theirs = Call(str(host), own.path, own.metadata)
    assert daemon.relay("trusted", [own, theirs])[1].code == 0
    for how in WAYS:
        (outcome,) = daemon.relay("mute", [theirs], how)
        assert outcome.code is None, (how, outcome)
    assert perform(theirs).code is None  # root is no part of it either
    assert daemon.denials(caller="plugin:mute", plugin="trusted") == 3
    assert daemon.denials(caller="plugin:?", plugin="trusted") == 1
    assert daemon.denials(caller="uid:0", plugin="trusted") == 1
    # Its directory is closed to other users.
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run(
            ["ls", host.parent], user=NOBODY, group=NOBODY, check=True, stderr=subprocess.DEVNULL
        )


def test_who_has_a_process_connect_and_die_gains_nothing(guarded: Callable[..., Guarded]) -> None:
    daemon = guarded()
    daemon.plugin("relay", RELAY)
    daemon.start()
    daemon.wait_ready("relay")
    # plugind must not look before the process is gone.
    os.kill(brain := daemon.brain_pid, signal.SIGSTOP)
    try:
        call = daemon.call("ListPlugins", connect_in_child=True, timeout=10)
        one = subprocess.Popen(
            [sys.executable, "-B", "-c", CONNECT_AND_DIE, json.dumps(vars(call))],
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE,
        )
        assert one.stdout
        assert one.stdout.readline() == "connected\n"
    finally:
        os.kill(brain, signal.SIGCONT)
    out, _ = one.communicate(timeout=20 * SLOWNESS)
    assert json.loads(out)["code"] is None, out
    assert daemon.denials(caller="uid:0") == 1


CONNECT_AND_DIE = """
import json, sys
import h2_client
connect = h2_client.connect
def announced(call):
    peer = connect(call)
    print("connected", flush=True)
    return peer
h2_client.connect = announced
print(json.dumps(vars(h2_client.perform(h2_client.Call(**json.loads(sys.argv[1]))))))
"""

STOP = CONTROL + "StopPlugin"
ODD_PATHS = {
    "two slashes": "//plugind.control.v1.PluginControl/StopPlugin",
    "slashes between": "/plugind.control.v1.PluginControl//StopPlugin",
    "no slash": "plugind.control.v1.PluginControl/StopPlugin",
    "no method": "/plugind.control.v1.PluginControl",
    "an empty method": CONTROL,
    "a slash behind": STOP + "/",
    "more behind": STOP + "/more",
    "dots": "/relay.v1.Relay/../plugind.control.v1.PluginControl/StopPlugin",
    "a dot": "/./plugind.control.v1.PluginControl/StopPlugin",
    "escaped dots": "/%2e%2e/plugind.control.v1.PluginControl/StopPlugin",
    "an escaped slash": "/plugind.control.v1.PluginControl%2fStopPlugin",
    "an escaped letter": "/plugind.control.v1.PluginControl/StopPlugi%6e",
    "a URI": "http://localhost/plugind.control.v1.PluginControl/StopPlugin",
    "a query": STOP + "?admin=1",
    "a fragment": STOP + "#x",
    "a blank": STOP + " ",
    "a semicolon": STOP + ";x",
    "a backslash": "/plugind.control.v1.PluginControl\\StopPlugin",
    "a dot in front": "/.plugind.control.v1.PluginControl/StopPlugin",
    "a dot behind": "/plugind.control.v1.PluginControl./StopPlugin",
    "very long": "/" + "a" * 4000 + "/StopPlugin",
    "an asterisk": "*",
    "nothing": "",
}
OTHER_CASES = {
    "service in capitals": "/PLUGIND.CONTROL.V1.PLUGINCONTROL/StopPlugin",
    "service in small letters": "/plugind.control.v1.plugincontrol/StopPlugin",
    "method in small letters": "/plugind.control.v1.PluginControl/stopplugin",
}


def test_odd_paths_lead_nowhere(guarded: Callable[..., Guarded]) -> None:
    daemon = guarded()
    daemon.plugin("subject", fault("good"))
    daemon.plugin(
        "relay", RELAY, access={"callers": ["*"], "calls": ["subject/fault.v1.Fault/Echo"]}
    )
    daemon.start()
    daemon.wait_ready("subject", "relay")
    message = base64.b64encode(named.SerializeToString()).decode()
    relay_socket = str(daemon.runtime / "plugins" / "relay.sock")
    paths = {**ODD_PATHS, **OTHER_CASES}
    for user in (User(NOBODY, NOBODY), User(VIEWER, VIEWER), User(0, 0)):
        doors = [
            (str(daemon.socket), []),
            (str(daemon.socket), [("plugind-plugin", "relay")]),
            (relay_socket, []),
        ]
        for socket, metadata in doors:
            calls = [Call(socket, path, metadata, message) for path in paths.values()]
            for name, outcome in zip(paths, user.perform(calls), strict=True):
                # Not one of them is answered as if it were the canonical form.
                assert outcome.code != 0, (user, socket, name, outcome)
                if name in ODD_PATHS and outcome.code is not None:
                    assert outcome.code in (INVALID_ARGUMENT, 8), (user, socket, name, outcome)
    relayed = [
        Call(
            "host",
            path.replace("plugind.control.v1.PluginControl", "fault.v1.Fault").replace(
                "StopPlugin", "Echo"
            ),
            [("plugind-plugin", "subject")],
        )
        for path in paths.values()
    ]
    for name, outcome in zip(paths, daemon.relay("relay", relayed), strict=True):
        assert outcome.code != 0, (name, outcome)
    assert not daemon.audit(kind="intent", method=STOP)
    # A method that is nobody's is still the control server's: who has no role is denied, and on record.
    nobody = User(NOBODY, NOBODY)
    (outcome,) = nobody.perform([Call(str(daemon.socket), OTHER_CASES["method in small letters"])])
    assert outcome.denied
    assert (
        daemon.denials(caller=f"uid:{NOBODY}", method=OTHER_CASES["method in small letters"]) == 2
    )
    assert daemon.get("subject").state == control_pb2.Plugin.READY


@pytest.mark.parametrize(
    "target",
    ["plugind", "control", "*", "", "relay ", "../relay", "relay/", "RELAY", "plugin:relay"],
)
def test_a_target_that_is_no_plugin_s_name_is_nobody(
    guarded: Callable[..., Guarded], target: str
) -> None:
    daemon = guarded()
    daemon.plugin("relay", RELAY)
    daemon.start()
    daemon.wait_ready("relay")
    (outcome,) = User(NOBODY, NOBODY).perform(
        [daemon.call("ListPlugins", metadata=[("plugind-plugin", target)])]
    )
    assert outcome.code != 0, outcome
    (outcome,) = User(NOBODY, NOBODY).perform(
        [Call(str(daemon.socket), "/relay.v1.Relay/Seen", [("plugind-plugin", target)])]
    )
    assert outcome.code != 0, outcome


# ---- The audit log ----


def test_every_change_has_an_intent_and_an_outcome(guarded: Callable[..., Guarded]) -> None:
    daemon = guarded()
    daemon.plugin("subject", fault("good"))
    daemon.start()
    daemon.wait_ready("subject")
    operator = User(OPERATOR, OPERATOR)
    evil = 'x","kind":"outcome"}\n{"forged":1}\u2028\x1b[2J'
    request = control_pb2.StopPluginRequest(name=evil).SerializeToString()
    missing = Call(str(daemon.socket), STOP, message=base64.b64encode(request).decode())
    outcomes = operator.perform([daemon.call("StopPlugin"), daemon.call("StartPlugin"), missing])
    assert [outcome.code for outcome in outcomes] == [0, 0, NOT_FOUND]
    intents = daemon.audit(kind="intent", caller=f"uid:{OPERATOR}")
    ends = daemon.audit(kind="outcome", caller=f"uid:{OPERATOR}")
    assert [line["id"] for line in intents] == [line["id"] for line in ends]
    assert [line["plugin"] for line in intents] == ["subject", "subject", evil]
    assert [line["code"] for line in ends] == ["OK", "OK", "NOT_FOUND"]
    assert all(line["pid"] > 0 and line["time"].endswith("Z") for line in intents + ends)
    assert all(line["durationMs"] >= 0 for line in ends)
    assert stat.S_IMODE(daemon.audit_file.stat().st_mode) == 0o600


def test_a_reload_by_signal_is_on_record_also_one_that_fails(
    guarded: Callable[..., Guarded],
) -> None:
    daemon = guarded()
    daemon.start()
    daemon.flush()
    (outcome,) = daemon.audit(kind="outcome", caller="signal")
    assert outcome["code"] == "OK"
    assert daemon.audit(kind="intent", caller="signal", pid=os.getpid())
    daemon.plugin("broken", [])
    daemon.flush()
    assert daemon.audit(kind="outcome", caller="signal")[-1]["code"] == "INVALID_ARGUMENT"
    daemon.remove_plugin("broken")


def test_logrotate_moves_it_away_and_sends_sighup(guarded: Callable[..., Guarded]) -> None:
    daemon = guarded()
    daemon.start()
    daemon.flush()
    old = daemon.audit_file.rename(daemon.state / "audit.log.1")
    size = old.stat().st_size
    daemon.audit_file.touch(0o644)  # as logrotate's `create` does
    daemon.flush()
    assert old.stat().st_size == size
    assert len(daemon.audit(kind="intent")) == 1
    assert stat.S_IMODE(daemon.audit_file.stat().st_mode) == 0o600


def test_without_a_record_nothing_changes(guarded: Callable[..., Guarded]) -> None:
    daemon = guarded()
    daemon.plugin("subject", fault("good"))
    daemon.start()
    before = daemon.wait_ready("subject")["subject"]
    brain = daemon.brain_pid
    # A disk that is full, for this process.
    resource.prlimit(
        brain, resource.RLIMIT_FSIZE, (daemon.audit_file.stat().st_size, resource.RLIM_INFINITY)
    )
    changes = [m for m, (_, _, least) in METHODS.items() if ROLES.index(least) >= 2]
    for method, outcome in zip(
        changes, User(0, 0).perform([daemon.call(m) for m in changes]), strict=True
    ):
        assert outcome.code == UNAVAILABLE, (method, outcome)
        assert error_info(outcome).reason == "AUDIT_FAILED"
        assert "nothing was changed" in outcome.message
    os.kill(brain, signal.SIGHUP)
    assert User(0, 0).perform([daemon.call("ListPlugins")])[0].code == 0  # to look is free
    done = subprocess.run(
        [BIN / "pluginctl", "--socket", daemon.socket, "stop", "subject"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "audit" in done.stderr, done
    after = daemon.get("subject")
    assert (after.state, after.instance, after.enabled) == (before.state, before.instance, True)
    # A denial that cannot be written is counted.
    assert User(NOBODY, NOBODY).perform([daemon.call("ListPlugins")])[0].denied
    resource.prlimit(brain, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert User(0, 0).perform([daemon.call("StopPlugin")])[0].code == 0
    assert daemon.audit(kind="lost", lines=1)
    assert daemon.brain_pid == brain


@pytest.mark.parametrize("kind", ["symlink", "fifo", "directory"])
def test_an_audit_log_that_is_no_plain_file_is_not_written(
    guarded: Callable[..., Guarded], kind: str
) -> None:
    daemon = guarded()
    target = daemon.root / "target"
    if kind == "symlink":
        target.write_text("precious\n")
        daemon.audit_file.symlink_to(target)
    elif kind == "fifo":
        os.mkfifo(daemon.audit_file)
    else:
        daemon.audit_file.mkdir()
    daemon.start()
    (outcome,) = User(0, 0).perform([daemon.call("Reload all")])
    assert outcome.code == UNAVAILABLE and error_info(outcome).reason == "AUDIT_FAILED"
    if kind == "symlink":
        assert target.read_text() == "precious\n"
    daemon.audit_file.rmdir() if kind == "directory" else daemon.audit_file.unlink()
    # As soon as it can be written again, without a restart.
    assert User(0, 0).perform([daemon.call("Reload all")])[0].code == 0


def test_a_flood_of_denials_is_counted_and_does_not_fill_the_disk(
    guarded: Callable[..., Guarded],
) -> None:
    daemon = guarded()
    daemon.start()
    equal, made_up = 2000, 300
    calls = [daemon.call("ListPlugins")] * equal
    calls += [
        Call(str(daemon.socket), f"/plugind.control.v1.PluginControl/Made{i}")
        for i in range(made_up)
    ]
    outcomes = User(NOBODY, NOBODY).perform(calls)
    assert all(outcome.denied for outcome in outcomes)
    assert len(daemon.audit(kind="denied")) <= 20
    assert daemon.denials(caller=f"uid:{NOBODY}") == equal + made_up
    assert len(daemon.audit(kind="denied")) <= 40
    assert daemon.audit_file.stat().st_size < 64 * 1024
