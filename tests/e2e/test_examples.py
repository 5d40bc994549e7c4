"""The plugins that are shipped as examples: READY, called, killed, READY and called again."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import Callable

import pytest

from daemon import Daemon, State
from examples import EXAMPLES
from requirements import need_go_plugin
from settings import BIN, SOURCE


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
    assert (
        plugin.restarts == 1
        and plugin.last_exit.signal == signal.SIGKILL
        and plugin.last_exit.pid == pid
    )
    assert plugin.pid != pid
    call(daemon)
    status = daemon.status()[name]
    assert (
        status["state"] == "READY" and status["restarts"] == 1 and status["lastExit"]["signal"] == 9
    )
    assert status["pid"] == plugin.pid and status["directAddress"] == plugin.direct_address


def test_all_three_by_the_shipped_configuration(make_daemon: Callable[..., Daemon]) -> None:
    need_go_plugin()
    daemon = make_daemon()
    shipped = SOURCE / "config"
    for file in sorted((shipped / "plugins.d").glob("*.toml")):
        # Taken as they are, but for where they lie: relative commands start at the file.
        text = re.sub(
            r'"((?:\.\./)+)([^"]*)"',
            lambda m: json.dumps(str((file.parent / m[1] / m[2]).resolve())),
            file.read_text(),
        )
        text = text.replace(str(SOURCE / "build" / "release"), str(BIN.parent))
        (daemon.plugins_dir / file.name).write_text(text)
    daemon.start().wait_ready("greeter", "kv", "wordcount")
    for _, call in EXAMPLES.values():
        call(daemon)
    daemon.stop()
