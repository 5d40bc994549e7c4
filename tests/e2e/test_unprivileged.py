"""plugind as an ordinary user, who has no cgroup to write to: what that takes away, and what it does not."""

from __future__ import annotations

import os
import subprocess
from typing import Callable, Iterator

import pytest

from daemon import Daemon, fault
from processes import eventually
from settings import BIN, SLOWNESS

pytestmark = pytest.mark.usefixtures("needs_root")  # to become somebody else

USER = 64123  # without an account, as where a container is given a number
AS_USER = {"user": USER, "group": USER, "extra_groups": []}


class AtHome(Daemon):
    """Told nothing on its command line: it finds its directories as the XDG base directory specification says."""

    def __init__(self, *, xdg: bool = True) -> None:
        super().__init__(uid=USER)
        home = self.root / "home"
        # XDG_RUNTIME_DIR has no default: whoever logs a user in must set it.
        self.variables = {"HOME": home, "XDG_RUNTIME_DIR": self.root / "run"}
        if xdg:
            self.variables["XDG_CONFIG_HOME"] = self.root / "conf"
            self.variables["XDG_STATE_HOME"] = self.root / "st"
        self.config = (self.root / "conf" if xdg else home / ".config") / "plugind" / "plugind.toml"
        self.state = (self.root / "st" if xdg else home / ".local" / "state") / "plugind"
        self.runtime = self.root / "run" / "plugind"
        self.socket = self.runtime / "plugind.sock"
        self.plugins_dir = self.config.parent / "plugins.d"
        self.plugins_dir.mkdir(parents=True)
        self.configure()
        for path in (home, self.root / "run"):
            path.mkdir(mode=0o700, exist_ok=True)
            os.chown(path, USER, USER)

    def environment(self) -> list[str]:
        names = ("PLUGIND_SOCKET", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME")
        unset = [f"--unset={name}" for name in names]
        return ["/usr/bin/env", *unset, *(f"{k}={v}" for k, v in self.variables.items())]

    def command(self) -> list[str]:
        return [*self.environment(), str(BIN / "plugind")]


@pytest.fixture
def make_at_home() -> Iterator[Callable[..., AtHome]]:
    made: list[AtHome] = []

    def make(**keys: bool) -> AtHome:
        made.append(AtHome(**keys))
        return made[-1]

    yield make
    for daemon in made:
        daemon.close()


@pytest.mark.parametrize("xdg", [True, False], ids=["xdg-variables", "home"])
def test_the_default_directories_are_the_users(
    xdg: bool, make_at_home: Callable[..., AtHome]
) -> None:
    daemon = make_at_home(xdg=xdg)
    daemon.plugin("one", fault("good"))
    daemon.launch()
    # pluginctl looks in the same place, without being told either.
    daemon.wait_serving()
    wait = [str(BIN / "pluginctl"), "wait", "one", "--for", "READY", "--timeout", "20s"]
    waited = subprocess.run(
        [*daemon.environment(), *wait], capture_output=True, text=True, **AS_USER
    )
    assert waited.returncode == 0, waited.stderr
    info = daemon.info()
    assert (info.config_file, info.runtime_dir, info.state_dir) == (
        str(daemon.config),
        str(daemon.runtime),
        str(daemon.state),
    )
    assert info.cgroup == ""
    for path in (daemon.runtime, daemon.state):
        assert path.stat().st_uid == USER


def test_without_a_runtime_directory_it_says_what_to_do(
    make_at_home: Callable[..., AtHome]
) -> None:
    daemon = make_at_home()
    del daemon.variables["XDG_RUNTIME_DIR"]
    refused = subprocess.run(daemon.command(), capture_output=True, text=True, **AS_USER)
    assert refused.returncode == 1
    assert "XDG_RUNTIME_DIR is not set; name the directory on the command line" in refused.stderr


def test_descendants_that_fled_are_found_without_a_cgroup(
    make_daemon: Callable[..., Daemon]
) -> None:
    daemon = make_daemon(uid=USER)
    daemon.plugin("forks", fault("double-forks"))
    daemon.start()
    plugin = daemon.wait_ready("forks")["forks"]
    fled = [p for p in daemon.processes_of("forks") if p.pid != plugin.pid]
    assert fled and all(p.ppid != plugin.pid for p in fled), "nobody has fled"
    daemon.ctl("stop", "forks", uid=USER)
    eventually(
        lambda: not daemon.processes_of("forks"), within=2 * SLOWNESS, what="no process of forks"
    )


@pytest.mark.parametrize("key", ["user", "group"])
def test_another_user_is_refused_by_the_configuration(
    key: str, make_daemon: Callable[..., Daemon]
) -> None:
    daemon = make_daemon(uid=USER)
    daemon.plugin("one", fault("good"), **{key: "daemon"})
    check = subprocess.run(
        [*daemon.command(), "--check-config"], capture_output=True, text=True, **AS_USER
    )
    assert check.returncode == 78
    assert "one.toml:2:" in check.stderr and f'"{key}"' in check.stderr
    assert "plugind must run as root for this" in check.stderr
    daemon.launch()
    daemon.wait_ended(code=78)
    daemon.plugin("one", fault("good"))
    daemon.start().wait_ready("one")
