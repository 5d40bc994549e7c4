"""pluginctl plugin new: what it makes builds, passes its own test and the conformance check, and runs."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from author_run import TOOLS, AuthorRun, call
from projects import LANGUAGES, commands, need_tools, shell, user_environment
from requirements import skip
from settings import BUILD


def new(*arguments: str | Path, code: int = 0, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [TOOLS / "pluginctl", "plugin", "new", *arguments], cwd=cwd, capture_output=True, text=True
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_project_builds_passes_its_tests_and_runs(language: str, tmp_path: Path) -> None:
    need_tools(language)
    environment = user_environment(tmp_path / "home")
    # A name of two words shows up every placeholder.
    new("--lang", language, "word-count", cwd=tmp_path)
    project = tmp_path / "word-count"
    *steps, run = commands((project / "README.md").read_text())
    for step in steps:
        shell(step, project, environment)
    assert any(step.startswith("pluginctl plugin test ") for step in steps)
    arguments = re.fullmatch(r"pluginctl plugin run (.*)", run)
    assert arguments, run
    with AuthorRun(*arguments[1].split(), cwd=project, env=environment) as session:
        socket = session.wait_ready()
        method = "word-count/word_count.v1.WordCount/Greet"
        assert json.loads(call(socket, method, '{"name": "Ada"}')) == {"message": "Hello, Ada!"}
        settings = project / "word-count.toml"
        settings.write_text(settings.read_text().replace("Hello", "Ahoy"))
        session.wait(r"^settings in force in \d+ ms, without a restart$")
        assert json.loads(call(socket, method, '{"name": "Ada"}')) == {"message": "Ahoy, Ada!"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_placeholder_is_left_and_what_comes_next_is_said(language: str, tmp_path: Path) -> None:
    done = new("--lang", language, "--dir", "there", "word-count", cwd=tmp_path)
    files = [path for path in (tmp_path / "there").rglob("*") if path.is_file()]
    assert sorted(str(path.relative_to(tmp_path)) for path in files) == done.stdout.splitlines()
    for path in files:
        text = path.read_text()
        assert not re.search(r"@\w+@", text + path.name), path
        assert path.suffix != ".in"
    lines = [line.strip() for line in done.stderr.splitlines()]
    page = commands((tmp_path / "there" / "README.md").read_text())
    assert lines == ["next:", "cd there", *page]


def test_names_that_make_no_project_are_refused(tmp_path: Path) -> None:
    for name in ("Hello", "hello_world", "-x", "1st", "class", "grpc", "a/b", ""):
        done = new("--lang", "cpp", "--", name, code=2, cwd=tmp_path)
        assert f'"{name}" is ' in done.stderr
    new("--lang", "cobol", "hello", code=2, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "hello"
    folder.mkdir()
    (folder / "main.cc").write_text("mine\n")
    done = new("--lang", "cpp", "hello", code=1, cwd=tmp_path)
    assert "hello is there and not empty" in done.stderr
    assert [path.name for path in folder.iterdir()] == ["main.cc"]
    assert (folder / "main.cc").read_text() == "mine\n"


def test_an_installed_pluginctl_finds_its_templates_sdks_and_plugind(tmp_path: Path) -> None:
    if not (BUILD / "cmake_install.cmake").exists():
        skip(f"{BUILD} is no build tree that can be installed")
    prefix = tmp_path / "usr"
    pluginctl = prefix / "bin" / "pluginctl"

    def install(component: str) -> None:
        subprocess.run(
            ["cmake", "--install", BUILD, "--component", component, "--prefix", prefix],
            check=True,
            capture_output=True,
        )

    def make(language: str) -> subprocess.CompletedProcess[str]:
        command = [pluginctl, "plugin", "new", "--lang", language, "--dir", language, "hello"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    install("plugind")
    refused = make("cpp")
    assert refused.returncode == 1
    assert f'no templates at {prefix}/share/plugind/templates: the component "sdk"' in refused.stderr
    install("sdk")
    languages = ("cpp", "go", "node", "python")  # made, not built
    for language in languages:
        assert make(language).returncode == 0
    texts = [path.read_text() for path in tmp_path.glob("*/*") if path.parent.name in languages]
    named = {path for text in texts for path in re.findall(rf"{prefix}[\w/.-]*", text)}
    sdks = {f"{prefix}/share/plugind/sdk/{language}" for language in ("go", "node", "python")}
    assert named == {str(prefix), *sdks}
    assert all(Path(path).is_dir() for path in named)
    assert list(prefix.glob("lib/**/plugindConfig.cmake"))

    ran = subprocess.run(
        [pluginctl, "plugin", "run", "./nowhere"], cwd=tmp_path, capture_output=True, text=True
    )
    assert ran.returncode == 1 and "nowhere is FAILED: " in ran.stdout, ran.stdout + ran.stderr
