"""What a configuration may be, and what a reload changes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from typing import Callable

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from daemon import Daemon, error_info, fault
from processes import eventually
from settings import SLOWNESS

# ---- Configuration: --check-config, reload ----


def test_every_problem_of_a_configuration_is_named_with_its_place(daemon: Daemon) -> None:
    daemon.plugin("good", fault("good"))
    (daemon.plugins_dir / "bad.toml").write_text('comand = ["x"]\nstart_timeout = 5\n')
    (daemon.plugins_dir / "worse.toml").write_text(
        'command = ["x"]\nafter = ["nobody"]\n[health]\ninterval = "never"\n'
    )
    check = subprocess.run([*daemon.command(), "--check-config"], capture_output=True, text=True)
    assert check.returncode == 78
    said = check.stdout + check.stderr
    for place in (
        r"bad\.toml:1:1.*comand.*command",
        r"bad\.toml:2:\d+",
        r"worse\.toml:2:\d+.*nobody",
        r"worse\.toml:4:\d+",
    ):
        assert re.search(place, said), f"{place} is not in {said}"
    document = json.loads(
        subprocess.run(
            [*daemon.command(), "--check-config", "-o", "json"], capture_output=True, text=True
        ).stdout
    )
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
    order = [(event.plugin, event.type) for event in daemon.events()]
    order = [(name, what) for name, what in order if what in ("starting", "ready")]
    assert order == [(name, what) for name in "cba" for what in ("starting", "ready")]
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
    eventually(
        lambda: daemon.info().config_loaded_at != loaded,
        within=10 * SLOWNESS,
        what="the new configuration",
    )


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
    eventually(
        lambda: "removed" not in daemon.list(),
        within=10 * SLOWNESS,
        what="the removed plugin is gone",
    )
    eventually(
        lambda: daemon.get("changed").pid not in (0, before["changed"].pid),
        within=10 * SLOWNESS,
        what="the changed plugin is another process",
    )
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
        said = "\n".join(
            f"{violation.field} {violation.description}" for violation in bad.field_violations
        )
        assert daemon.ctl("reload", code=1).stderr
    else:
        assert daemon.process
        daemon.process.send_signal(signal.SIGHUP)
        eventually(
            lambda: "two.toml:2" in daemon.log_tail(),
            within=10 * SLOWNESS,
            what="the problems in the log",
        )
        said = daemon.log_tail()
    for problem in problems:
        assert re.search(problem, said), said
    now = daemon.list()
    assert set(now) == {"one", "two"}
    assert {name: plugin.pid for name, plugin in now.items()} == {
        name: plugin.pid for name, plugin in before.items()
    }
    # The old one is live: what dies is started again by it.
    os.kill(before["two"].pid, signal.SIGKILL)
    eventually(
        lambda: daemon.get("two").restarts == 1,
        within=10 * SLOWNESS,
        what="a restart by the old configuration",
    )
    daemon.wait_ready("two")
