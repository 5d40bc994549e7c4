"""pluginctl plugin test: it passes for every example, and fails for broken plugins, each time with the right rule."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any, Callable, Iterable

import pytest

from parity_plugins import DIRECT, parity_plugin
from requirements import need_go_plugin, skip
from settings import BIN, BUILD, PLUGINS, SANITIZED, SLOWNESS, SOURCE

PLUGINCTL = BIN / "pluginctl"
BROKEN = SOURCE / "tests" / "broken" / "broken_plugin.py"
STUBS = BUILD / "tests" / "stubs"
PAGE = SOURCE / "sdk" / "rules.md"


def plugin_test(
    *arguments: object, environment: dict[str, str] | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PLUGINCTL, "plugin", "test", *map(str, arguments)],
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout * SLOWNESS,
    )


def rules_of(
    *arguments: object, code: int, timeout: float = 120
) -> dict[str, dict[str, Any]]:
    """By id, as -o json has them."""
    done = plugin_test("-o", "json", *arguments, timeout=timeout)
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stderr == ""
    return {rule["id"]: rule for rule in json.loads(done.stdout)["rules"]}


def with_verdict(rules: dict[str, dict[str, Any]], verdict: str) -> set[str]:
    return {name for name, rule in rules.items() if rule["verdict"] == verdict}


def limit() -> str:
    """How long a start may take here. What never comes is waited for as long."""
    return f"{int(10 * SLOWNESS)}s"


def broken(mode: str = "", *options: object) -> Iterable[object]:
    return (*options, BROKEN, "--", STUBS, *([mode] if mode else []))


# ---- Plugins that are right ----

CONTRACT_RULES = {"negotiate-answers", "configure-accepts", "end-shutdown"}


def test_the_contract_in_plain_python_is_right() -> None:
    rules = rules_of(*broken(), code=0)
    assert CONTRACT_RULES <= with_verdict(rules, "passed")
    assert with_verdict(rules, "skipped") == {
        "health-watch",
        "reflection-lists",
        "negotiate-services",
        "configure-refuses",
    }


def test_greeter_is_right() -> None:
    rules = rules_of(PLUGINS / "greeter", code=0)
    assert {"health-watch", "reflection-lists", "end-controller"} <= with_verdict(rules, "passed")


def test_kv_is_right_with_the_cookie_of_its_application() -> None:
    need_go_plugin()
    rules = rules_of("--cookie", "BASIC_PLUGIN=hello", PLUGINS / "kv", code=0)
    assert CONTRACT_RULES <= with_verdict(rules, "skipped"), "go-plugin does not have the contract"
    assert "end-controller" in with_verdict(rules, "passed")
    assert "SIGTERM" in rules["end-sigterm"]["seen"], "a note: it dies of it"
    assert "outlives" in rules["end-host-death"]["seen"]


def test_wordcount_is_right() -> None:
    rules = rules_of(PLUGINS / "wordcount" / "wordcount.py", code=0)
    assert "at the floor" in rules["negotiate-answers"]["seen"]


# The examples are the same programs in every build; those with sanitizers have none.
if not SANITIZED:

    @pytest.mark.parametrize("plugin", ["floor-rust", "floor-java/floor-java"])
    def test_an_example_without_an_sdk_is_right(plugin: str) -> None:
        if not (PLUGINS / plugin).exists():
            skip(f"{plugin} was not built: its toolchain is not there")
        rules = rules_of("--timeout", "60s", PLUGINS / plugin, code=0, timeout=300)
        assert "at the floor" in rules["negotiate-answers"]["seen"]


@pytest.mark.parametrize("language", DIRECT)
def test_a_plugin_made_with_an_sdk_is_right(language: str, tmp_path: Path) -> None:
    (tmp_path / "refuse.toml").write_text('refuse = "no"\n')
    options = ("--protocol-versions", "1,2", "--refuse", tmp_path / "refuse.toml")
    rules = rules_of(*options, parity_plugin(language), code=0)
    assert not CONTRACT_RULES & with_verdict(rules, "skipped")
    must = {"start-info", "negotiate-schema", "configure-refuses", "configure-keeps", "end-drain"}
    assert must <= with_verdict(rules, "passed")


# ---- Plugins that are not ----

# What each mode of broken_plugin.py breaks, and nothing else.
BREAKS = {
    "no-cookie-check": {"start-without-cookie", "start-wrong-cookie"},
    "any-cookie": {"start-wrong-cookie"},
    "bad-info": {"start-info"},
    "needs-home": {"start-environment"},
    "trips-over-leftovers": {"start-again"},
    "never-prints": {"handshake-in-time"},
    "four-fields": {"handshake-fields", "handshake-protocol"},
    "core-2": {"handshake-core"},
    "netrpc": {"handshake-protocol"},
    "outside": {"handshake-address"},
    "announces-too-early": {"handshake-listening"},
    "open-to-all": {"handshake-socket-mode"},
    "noisy": {"handshake-noise"},
    "two-handshakes": {"handshake-one-line"},
    "unoffered-version": {"handshake-version"},
    "echoes-versions": {"handshake-version-choice", "handshake-version-unknown"},
    "floods-stdout": {"output-unread"},
    "no-health": {"health-serving"},
    "never-serving": {"health-serving"},
    "answers-anything": {"calls-unknown-method"},
    "dies-of-big-messages": {"calls-big-message"},
    "dies-of-garbage": {"calls-garbage"},
    "negotiate-fails": {"negotiate-answers"},
    "too-much": {"negotiate-bounds"},
    "illegal-name": {"negotiate-names"},
    "bad-schema": {"negotiate-schema"},
    "negotiates-once": {"negotiate-again"},
    "waits-for-negotiate": {"negotiate-older-host"},
    "fears-the-new": {"negotiate-newer-host"},
    "insists": {"negotiate-bare-host"},
    "refuses-everything": {"configure-accepts"},
    "fears-new-fields": {"configure-unknown-fields"},
    "takes-anything": {"configure-refuses"},
    "loses-settings": {"configure-keeps"},
    "ignores-sigterm": {"end-sigterm"},
    "exits-with-3": {"end-sigterm"},
    "controller-hangs": {"end-controller"},
    "shutdown-hangs": {"end-shutdown"},
    "drain-ends-it": {"end-drain"},
    "outlives-host": {"end-host-death"},
}



def group_of(rule: str) -> str:
    return rule.partition("-")[0]


@functools.cache
def all_rules() -> list[str]:
    return [line.split("\t")[0] for line in plugin_test("--list-rules").stdout.splitlines()]


def worth_trying(broken_rules: set[str]) -> list[str]:
    """All of the groups in which something is broken, and those that take no process of their own."""
    groups = {"handshake", "health", "reflection", "calls"} | {group_of(r) for r in broken_rules}
    return [word for r in all_rules() if group_of(r) in groups for word in ("--only", r)]


@pytest.mark.parametrize("mode", BREAKS)
def test_a_broken_plugin_fails_with_its_rule_and_no_other(mode: str, tmp_path: Path) -> None:
    refuse = tmp_path / "refuse.toml"
    refuse.write_text("greeting = 7\n")
    options = ("--timeout", limit(), "--refuse", refuse, *worth_trying(BREAKS[mode]))
    rules = rules_of(*broken(mode, *options), code=1)
    failed = with_verdict(rules, "failed")
    assert failed == BREAKS[mode], {name: rules[name]["seen"] for name in failed}
    for name in failed:
        assert rules[name]["seen"] and rules[name]["see"] == f"sdk/rules.md#{name}"


def test_every_mode_of_the_broken_plugin_is_tried() -> None:
    modes = set(re.findall(r'MODE [!=]= "([a-z0-9-]+)"', BROKEN.read_text()))
    modes |= {"waits-for-negotiate"}  # stands in a tuple
    assert modes == set(BREAKS)


def test_a_failure_shows_what_the_plugin_said() -> None:
    done = plugin_test("-o", "text", "--only", "start-environment", *broken("needs-home"))
    assert done.returncode == 1
    assert "KeyError: 'HOME'" in done.stdout and "sdk/rules.md#start-environment" in done.stdout


# ---- Settings ----


def test_settings_are_toml_or_json(tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text('{"greeting": "Hi"}')
    (tmp_path / "bad.toml").write_text("greeting = [1, 2]\n")
    files = ("--config", tmp_path / "good.json", "--refuse", tmp_path / "bad.toml")
    only = [word for rule in ("accepts", "refuses", "keeps") for word in ("--only", f"configure-{rule}")]
    rules = rules_of(*broken("", *files, *only), code=0)
    assert with_verdict(rules, "passed") == set(rules) == {f"configure-{r}" for r in ("accepts", "refuses", "keeps")}
    swapped = ("--config", tmp_path / "bad.toml", "--only", "configure-accepts")
    rules = rules_of(*broken("", *swapped), code=1)
    assert "greeting: must be a string" in rules["configure-accepts"]["seen"]


def test_a_file_of_settings_with_a_mistake_is_usage(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("a = 1\nb =\n")
    done = plugin_test("--config", tmp_path / "bad.toml", *broken())
    assert done.returncode == 2 and "bad.toml:2:" in done.stderr and done.stdout == ""


# ---- Forms and ends ----

FEW = ("--only", "start-without-cookie", "--only", "start-info", "--only", "health-watch")


def test_tap_is_the_default_where_nobody_looks() -> None:
    done = plugin_test(*FEW, *broken("bad-info"))
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[:3] == ["TAP version 13", "1..3", "ok 1 - start-without-cookie"]
    assert lines[3] == "not ok 2 - start-info"
    assert '  seen: "\\"version\\" is missing or not a string"' in lines
    assert lines[-1] == "ok 3 - health-watch # SKIP it does not serve Watch"


def test_junit_is_xml_that_a_parser_takes() -> None:
    done = plugin_test("-o", "junit", *FEW, *broken("bad-info"))
    assert done.returncode == 1
    suite = ElementTree.fromstring(done.stdout)
    assert {key: suite.get(key) for key in ("tests", "failures", "skipped")} == {
        "tests": "3",
        "failures": "1",
        "skipped": "1",
    }
    failure = suite.find("testcase[@name='start-info']/failure")
    assert failure is not None and "version" in failure.get("message", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["/no/such/program"],
        ["--only", "no-such-rule", "/bin/true"],
        ["--cookie", "novalue", "/bin/true"],
        [],
    ],
)
def test_what_cannot_be_checked_is_usage(arguments: list[str]) -> None:
    done = plugin_test(*arguments)
    assert done.returncode == 2 and done.stdout == "" and done.stderr != ""


def test_a_program_that_is_no_plugin_is_told_so() -> None:
    rules = rules_of("--timeout", limit(), "/bin/true", code=1)
    assert rules["handshake-in-time"]["seen"] == "it printed no handshake, and ended with exit code 0"
    assert rules["health-serving"]["verdict"] == "skipped"


def test_the_page_has_every_rule_as_the_program_has_it() -> None:
    listed = plugin_test("--list-rules")
    assert listed.returncode == 0
    rows = re.findall(r'^\| <a id="([a-z-]+)"></a>`\1` \| (\w+) \| (.*) \|$', PAGE.read_text(), re.M)
    assert rows == [tuple(line.split("\t")) for line in listed.stdout.splitlines()]
    assert len(rows) > 35


def processes_in(folder: str) -> list[int]:
    """Plugins whose private directory lies there."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        if f"\0PLUGIN_UNIX_SOCKET_DIR={folder}/".encode() in b"\0" + environment:
            found.append(int(process.name))
    return found


def await_that(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20 * SLOWNESS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("end", [None, signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_however_it_ends(end: signal.Signals | None) -> None:
    if end is None:
        arguments = broken("ignores-sigterm", "--timeout", limit(), "--only", "end-sigterm")
    else:
        arguments = broken("never-prints", "--timeout", "1h")
    with tempfile.TemporaryDirectory(prefix="pt-", dir="/tmp") as folder:
        running = subprocess.Popen(
            [PLUGINCTL, "plugin", "test", *map(str, arguments)],
            env={**os.environ, "TMPDIR": folder},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        await_that(lambda: processes_in(folder))
        if end is not None:
            running.send_signal(end)
        running.wait(60 * SLOWNESS)
        await_that(lambda: not processes_in(folder) and not os.listdir(folder))
