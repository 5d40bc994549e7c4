"""The newcomer's walk: every command of sdk/guide.md, in a clean folder and a home of its own, with what the page says comes of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from author_run import AuthorRun
from projects import LANGUAGES, commands, need_tools, shell, user_environment
from settings import SOURCE

GUIDE = SOURCE / "sdk" / "guide.md"
SECTIONS = {"cpp": "In C++", "python": "In Python"}


def section(title: str) -> list[str]:
    text = GUIDE.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    assert text, f"no section {title!r}"
    return commands(text)


@pytest.mark.parametrize("language", [each for each in SECTIONS if each in LANGUAGES])
def test_every_command_of_the_guide_does_what_it_says(language: str, tmp_path: Path) -> None:
    need_tools(language)
    environment = user_environment(tmp_path / "home")
    folder = tmp_path / "work"
    folder.mkdir()
    lines = section(SECTIONS[language])
    # The first line that stays is a terminal of its own; everything after it happens in another one.
    at = next(i for i, line in enumerate(lines) if line.startswith("pluginctl plugin run "))
    for line in lines[:at]:
        if line.startswith("cd "):
            folder = folder / line.removeprefix("cd ")
        else:
            shell(line, folder, environment)
    outcomes = 0
    with AuthorRun(*lines[at].split()[3:], cwd=folder, env=environment) as run:
        socket = run.wait_ready()
        for line in lines[at + 1 :]:
            command, _, comment = (part.strip() for part in line.partition(" # "))
            if command.startswith("export PLUGIND_SOCKET="):
                assert comment == "the one that is shown"
                assert re.fullmatch(r"/tmp/plugin-\w{6}/r/plugind\.sock", socket), socket
                environment["PLUGIND_SOCKET"] = socket
                continue
            output = shell(command, folder, environment)
            kind, _, expected = comment.partition(" ")
            if kind == "→":
                assert expected in output, f"$ {command}\n{output}"
            else:
                assert kind == "shown:", line
                run.wait(rf"^{re.escape(expected)} ", within=120)
            outcomes += 1
        run.interrupt()
        run.wait_ended(0)
    assert outcomes >= 5


def test_both_languages_walk_through_a_reload_and_a_swap() -> None:
    for title in SECTIONS.values():
        text = "\n".join(section(title))
        assert "shown: settings in force" in text and "shown: swapped in" in text
        assert "pluginctl plugin new " in text and "pluginctl plugin test " in text
