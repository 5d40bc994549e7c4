"""hashicorp/go-plugin, unmodified, on both sides: its hosts start plugins made with our SDKs, and use plugins that plugind
runs; its plugins find in plugind a host in which nothing of theirs blocks."""

from __future__ import annotations

import json
import subprocess

import pytest

from daemon import Daemon
from examples import add_kv, call_kv
from go_programs import program
from parity_plugins import LANGUAGES, parity_plugin
from settings import SANITIZED, SLOWNESS


def host(*words: object, reattach: str = "", code: int = 0) -> str:
    """tests/interop/host, which checks by itself all that happens. Returns what it said."""
    done = subprocess.run(
        [str(program("host")), *map(str, words)],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        input=reattach,
        capture_output=True,
        text=True,
        timeout=40 * SLOWNESS,
    )
    assert done.returncode == code, f"host {words} ended with {done.returncode}:\n{done.stderr}"
    return done.stderr


# ---- Its hosts, and plugins of our SDKs ----


@pytest.mark.parametrize("tls", ([], ["--auto-mtls"]), ids=("plain", "auto-mtls"))
# A sanitizer is in our C++ only: the other languages' plugins are the same in every build.
@pytest.mark.parametrize("language", ("cpp",) if SANITIZED else LANGUAGES)
def test_a_host_starts_uses_and_ends_a_plugin(language: str, tls: list[str]) -> None:
    host("start", *tls, "parity", parity_plugin(language))


# ---- Its hosts, and plugins that plugind runs ----


def attach(daemon: Daemon, name: str, service: str, *options: str) -> None:
    """A host comes and goes; the plugin is the same process, READY, before and after."""
    before = daemon.get(name)
    reattach = daemon.ctl("reattach", name, *options).stdout
    assert json.loads(reattach)["Pid"] == before.pid
    host("attach", service, reattach=reattach)
    after = daemon.get(name)
    assert (after.pid, after.restarts, after.state) == (before.pid, before.restarts, before.state)


@pytest.mark.parametrize("way", ([], ["--gateway"]), ids=("directly", "through-the-gateway"))
def test_a_host_attaches_to_a_go_plugin_plugin(daemon: Daemon, way: list[str]) -> None:
    add_kv(daemon)
    daemon.start().wait_ready("kv")
    attach(daemon, "kv", "kv", *way)
    call_kv(daemon)


@pytest.mark.parametrize("way", ([], ["--gateway"]), ids=("directly", "through-the-gateway"))
def test_a_host_attaches_to_the_interop_server(daemon: Daemon, way: list[str]) -> None:
    daemon.plugin("interop", [program("server")])
    daemon.start().wait_ready("interop")
    attach(daemon, "interop", "interop", *way)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_host_attaches_to_a_plugin_of_an_sdk(daemon: Daemon, language: str) -> None:
    daemon.plugin("parity", [parity_plugin(language)], protocol_versions=[1, 2])
    daemon.start().wait_ready("parity")
    attach(daemon, "parity", "parity")


def test_reattach_follows_the_process(daemon: Daemon) -> None:
    add_kv(daemon)
    daemon.start().wait_ready("kv")
    first = json.loads(daemon.ctl("reattach", "kv").stdout)
    daemon.ctl("restart", "kv")
    providers = json.loads(daemon.ctl("reattach", "kv", "--provider", "example.org/acme/kv").stdout)
    second = providers.pop("example.org/acme/kv")
    assert not providers
    assert second["Pid"] == daemon.get("kv").pid != first["Pid"]
    assert second["Addr"] != first["Addr"]
    daemon.ctl("stop", "kv")
    assert "kv is STOPPED" in daemon.ctl("reattach", "kv", code=1).stderr
    daemon.ctl("reattach", "stranger", code=4)


def test_under_auto_mtls_a_host_attaches_through_the_gateway(daemon: Daemon) -> None:
    cookie = {"key": "BASIC_PLUGIN", "value": "hello"}
    daemon.plugin("brokered", [program("brokered")], magic_cookie=cookie, auto_mtls=True)
    daemon.plugin("parity", [parity_plugin("go")], protocol_versions=[1, 2], auto_mtls=True)
    daemon.start().wait_ready("brokered", "parity")
    for name in ("brokered", "parity"):
        assert "--gateway" in daemon.ctl("reattach", name, code=1).stderr
    attach(daemon, "parity", "parity", "--gateway")


# ---- Its plugins, and what their hosts must do for them ----


@pytest.mark.parametrize(
    ("options", "keys"),
    [([], {}), ([], {"auto_mtls": True}), (["--tcp"], {"network": ["unix", "tcp"]})],
    ids=("plain", "auto-mtls", "tcp"),
)
def test_nothing_in_a_plugin_that_uses_the_broker_blocks(
    daemon: Daemon, options: list[str], keys: dict[str, object]
) -> None:
    cookie = {"key": "BASIC_PLUGIN", "value": "hello"}
    daemon.plugin("brokered", [program("brokered"), *options], magic_cookie=cookie, **keys)
    daemon.start().wait_ready("brokered")
    pid = daemon.get("brokered").pid

    def call(method: str, request: str = "{}") -> dict[str, object]:
        target = f"brokered/brokered.v1.Brokered/{method}"
        answer = daemon.ctl("call", target, "-d", request, "--timeout", f"{20 * SLOWNESS}s").stdout
        return json.loads(answer)

    # Many pipes full, with nobody but plugind to read them.
    for _ in range(3):
        call("Print", json.dumps({"bytes": 1 << 20}))
    # Each is answered when the host has taken it.
    for _ in range(3):
        call("Announce")
    # Nothing was announced to it: go-plugin gives up by itself.
    dialled = call("Dial", json.dumps({"id": 4711}))
    assert dialled["error"] and dialled["tookMs"] < 10_000 * SLOWNESS
    assert daemon.get("brokered").pid == pid
    assert daemon.get("brokered").state == daemon.get("brokered").READY
