"""A plugin's JSON Schema for its [config]: what is refused before the plugin is touched, by which schema, and when an old
schema does not count any more."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from daemon import Daemon
from settings import BUILD, SLOWNESS
from test_contract import BUILT_IN, answered, channel_to, pluginctl

HERE = Path(__file__).resolve().parent

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["greeting"],
    "properties": {
        "greeting": {"type": "string", "minLength": 1},
        "limits": {"properties": {"max": {"type": "integer", "maximum": 100}}},
    },
}
GOOD = '[config]\ngreeting = "hi"\nlimits.max = 1\n'
BAD = '[config]\ngreting = "hi"\n\n[config.limits]\nmax = 101\n'
COMPLAINTS = [
    r"kv\.toml:\d+:2: config\.greeting: is missing",
    r'kv\.toml:\d+:1: config\.greting: unknown key; did you mean "greeting"\?',
    r"kv\.toml:\d+:7: config\.limits\.max: must be at most 100, not 101",
]


class Author:
    """Writes the program of the plugin "kv", which publishes a schema, and its file."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.program = daemon.root / "kv"
        self.file = daemon.plugins_dir / "kv.toml"

    def build(self, schema: Any) -> None:
        """A new program in the place of the old one, as an installation would do it."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        orders = {"capabilities": [[one, ["1.0"], False] for one in BUILT_IN], "schema": text}
        fresh = self.program.with_suffix(".new")
        fresh.write_text(
            f"#!{sys.executable} -B\n"
            "import sys\n"
            f"sys.argv[1:] = [{json.dumps(orders)!r}]\n"
            f"sys.path.insert(0, {str(HERE)!r})\n"
            "import contract_plugin\n"
            "contract_plugin.main()\n"
        )
        fresh.chmod(0o755)
        fresh.rename(self.program)

    def write(self, config: str, **keys: str) -> None:
        self.daemon.plugin("kv", [self.program], env={"CONTRACT_STUBS": str(BUILD / "tests/stubs")})
        text = self.file.read_text()
        for key, value in keys.items():
            text += f"{key} = {json.dumps(value)}\n"
        self.file.write_text(text + config)

    def check(self, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.daemon.command(), "--check-config", *options], capture_output=True, text=True
        )


@pytest.fixture
def author(daemon: Daemon) -> Author:
    author = Author(daemon)
    author.build(SCHEMA)
    return author


def handed_over(daemon: Daemon) -> list[dict[str, Any]]:
    """The settings that this process of the plugin was given, one after the other."""
    with channel_to(daemon, "kv") as channel:
        answer = channel.unary_unary("/contract.v1.Contract/Seen", None, None)
        seen = json.loads(answer(b"", timeout=20 * SLOWNESS, wait_for_ready=True))
    return [request["settings"] for request in seen["Configure"]]


def complains(said: str) -> bool:
    return all(re.search(complaint, said) for complaint in COMPLAINTS)


def test_bad_settings_are_refused_with_their_places_before_the_plugin_is_touched(
    daemon: Daemon, author: Author
) -> None:
    author.write(GOOD)
    before = daemon.start().wait_ready("kv")["kv"]
    author.write(BAD)

    check = author.check()
    assert check.returncode == 78 and complains(check.stderr), check.stderr
    problems = json.loads(author.check("-o", "json").stdout)["problems"]
    assert [problem["file"] for problem in problems] == [str(author.file)] * len(COMPLAINTS)

    for verb in (["reload"], ["reload", "kv"]):
        refused = pluginctl(daemon, *verb)
        assert refused.returncode == 1 and complains(refused.stderr), refused.stderr
    after = daemon.get("kv")
    assert (after.pid, after.settings.generation) == (before.pid, 1)
    assert len(handed_over(daemon)) == 1

    author.write(GOOD.replace("hi", "hello"))
    assert author.check().returncode == 0
    assert pluginctl(daemon, "reload").returncode == 0
    assert answered(daemon, "kv").generation == 2
    assert handed_over(daemon)[-1]["greeting"] == "hello"
    assert daemon.get("kv").pid == before.pid


def test_the_schema_is_known_while_plugind_does_not_run(daemon: Daemon, author: Author) -> None:
    author.write(GOOD)
    daemon.start().wait_ready("kv")
    daemon.stop()
    author.write(BAD)
    check = author.check()
    assert check.returncode == 78 and complains(check.stderr), check.stderr


def test_a_plugin_that_has_never_run_is_held_to_its_schema_at_its_start(
    daemon: Daemon, author: Author
) -> None:
    author.write(BAD)
    assert author.check().returncode == 0
    daemon.start()
    plugin = daemon.wait_state("kv", "FAILED")
    assert plugin.reason.startswith("its settings do not fit its schema: ")
    assert "limits.max: must be at most 100, not 101" in plugin.reason
    # It has run now, and failed alone: the next start of plugind is not refused for it.
    assert author.check().returncode == 78
    daemon.stop()
    daemon.start().wait_state("kv", "FAILED")
    author.write(GOOD)
    assert pluginctl(daemon, "reload").returncode == 0
    daemon.change("Start", "kv")
    daemon.wait_ready("kv")


def test_the_schema_of_a_program_that_was_replaced_does_not_block_its_new_settings(
    daemon: Daemon, author: Author
) -> None:
    author.write(GOOD)
    daemon.start().wait_ready("kv")
    author.build({"properties": {"speed": {"type": "integer"}}, "additionalProperties": False})
    author.write("[config]\nspeed = 3\n")
    check = author.check()
    assert check.returncode == 0, check.stderr
    assert "note: " in check.stderr and "has changed since" in check.stderr
    notes = json.loads(author.check("-o", "json").stdout)["notes"]
    assert notes[0]["file"] == str(author.file)

    assert pluginctl(daemon, "reload").returncode == 0
    daemon.change("Restart", "kv")
    daemon.wait_ready("kv")
    assert handed_over(daemon)[0] == {"speed": 3.0}
    # From here on it is the new program's own.
    author.write('[config]\nspeed = "fast"\n')
    assert "config.speed: must be an integer, not a string" in author.check().stderr


def test_a_schema_named_in_the_plugins_file_is_used_instead(daemon: Daemon, author: Author) -> None:
    author.write(GOOD)
    daemon.start().wait_ready("kv")
    named = daemon.plugins_dir / "kv.schema.json"
    named.write_text(json.dumps({"properties": {"speed": {"maximum": 3}}}))

    author.write("[config]\nspeed = 4\n", config_schema="kv.schema.json")
    check = author.check()
    assert check.returncode == 78
    assert f"config.speed: must be at most 3, not 4 (schema: {named})" in check.stderr
    assert pluginctl(daemon, "reload").returncode == 1

    author.write("[config]\nspeed = 3\n", config_schema="kv.schema.json")
    assert author.check().returncode == 0
    assert pluginctl(daemon, "reload").returncode == 0
    # Also at a start, where the plugin publishes its own again.
    daemon.change("Restart", "kv")
    daemon.wait_ready("kv")
    assert handed_over(daemon)[0] == {"speed": 3.0}

    named.write_text('{"type": "strnig"}')
    check = author.check()
    assert check.returncode == 78 and 'there is no type "strnig"' in check.stderr
    assert re.search(r'kv\.toml:\d+:\d+: "config_schema"', check.stderr)
    named.unlink()
    assert "No such file or directory" in author.check().stderr


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ('{"$ref": "http://127.0.0.1:1/schema.json"}', "leads out of the schema"),
        ('{"$ref": "#"}', "goes in a circle"),
        ('{"properties": {"a": {"pattern": "(a)\\\\1"}}}', "linear time"),
        ("[" * 65, "nested deeper than 64 levels"),
    ],
    ids=["remote", "circle", "pattern", "deep"],
)
def test_a_schema_that_is_refused_fails_its_plugin_by_name_and_nobody_else(
    daemon: Daemon, author: Author, schema: str, why: str
) -> None:
    author.build(schema)
    author.write(GOOD)
    daemon.start()
    plugin = daemon.wait_state("kv", "FAILED")
    assert plugin.reason.startswith("its config_schema ") and why in plugin.reason
    # The file can name another one, so that the operator need not wait for the author.
    (daemon.plugins_dir / "any.json").write_text("{}")
    author.write(GOOD, config_schema="any.json")
    assert pluginctl(daemon, "reload").returncode == 0
    daemon.change("Start", "kv")
    daemon.wait_ready("kv")


def test_a_schema_that_would_take_for_ever_is_given_up_in_time(
    daemon: Daemon, author: Author
) -> None:
    levels = 14
    definitions: dict[str, Any] = {f"d{levels}": False}
    for i in range(levels):
        next_one = {"$ref": f"#/definitions/d{i + 1}"}
        definitions[f"d{i}"] = {"anyOf": [next_one] * 4}
    author.build({"definitions": definitions, "$ref": "#/definitions/d0"})
    author.write(GOOD)
    daemon.start()
    plugin = daemon.wait_state("kv", "FAILED")
    assert "cannot be checked in" in plugin.reason
    began = time.monotonic()
    daemon.info()
    assert time.monotonic() - began < 2 * SLOWNESS


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ("[config]\nid = 9007199254740993\n", r":\d+:6: 9007199254740993 is beyond 2\^53"),
        (f"[config]\na = {'[' * 32}{']' * 32}\n", r":\d+:36: \[config\] is nested deeper than 32"),
        (f"[config]\na = [{', '.join(['9e9'] * 90_000)}]\n", r":\d+:2: \[config\] has \d+ bytes"),
    ],
    ids=["an integer", "nesting", "size"],
)
def test_settings_that_cannot_be_handed_over_are_refused_with_their_place(
    daemon: Daemon, author: Author, config: str, why: str
) -> None:
    author.build("")
    author.write(GOOD)
    before = daemon.start().wait_ready("kv")["kv"]
    author.write(config)
    check = author.check()
    assert check.returncode == 78 and re.search(why, check.stderr), check.stderr[-2000:]
    refused = pluginctl(daemon, "reload")
    assert refused.returncode == 1 and re.search(why, refused.stderr)
    assert daemon.get("kv").pid == before.pid


def test_settings_at_every_limit_reach_the_plugin_whole(daemon: Daemon, author: Author) -> None:
    author.build("")
    # 31 tables and arrays within [config], of the kind that costs the most messages.
    deep = "{ a = " * 31 + "1" + " }" * 31
    large = "x" * 1_000_000
    author.write(
        f'[config]\nid = 9007199254740992\ndeep = {deep}\nlarge = "{large}"\n'
    )
    daemon.start().wait_ready("kv")
    settings = handed_over(daemon)[0]
    assert settings["id"] == 9007199254740992 and settings["large"] == large
    level, depth = settings["deep"], 0
    while isinstance(level, dict):
        level, depth = level["a"], depth + 1
    assert depth == 31


def test_a_damaged_store_of_schemas_is_no_obstacle(daemon: Daemon, author: Author) -> None:
    author.write(GOOD)
    daemon.start().wait_ready("kv")
    stored = daemon.state / "schemas" / "kv.json"
    stored.write_text("{")
    author.write(BAD)
    check = author.check()
    assert check.returncode == 0 and "the file is damaged" in check.stderr
    shutil.rmtree(stored.parent)
    stored.parent.write_text("in the way")
    author.write(GOOD.replace("hi", "hello"))
    assert pluginctl(daemon, "reload").returncode == 0
    daemon.change("Restart", "kv")
    daemon.wait_ready("kv")
    assert "a plugin's schema is not kept" in daemon.errors.read_text()
