"""pluginctl plugin run: a plugin under a plugind of its own, which leaves nothing behind."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Iterator

import grpc
import pytest

import processes
from author_run import TOOLS, AuthorRun, attach, call
from daemon import fault, raw_call
from parity_plugins import DIRECT, parity_plugin
from processes import eventually
from settings import PLUGINS, SLOWNESS
from test_automtls import speaks_tls

GREETER = PLUGINS / "greeter"
GREET = "greeter/greeter.v1.Greeter/Greet"


def greet(socket: str) -> str:
    return json.loads(call(socket, GREET, '{"name": "Ada"}'))["message"]


def test_it_shows_states_log_and_a_call_that_works_and_ends_in_order(
    marker: dict[str, str],
) -> None:
    with AuthorRun(GREETER, env=marker) as run:
        socket = run.wait_ready()
        assert re.search(r"^\d\d:\d\d:\d\d\.\d{3} STATE STARTING spawn", run.text, re.M)
        # The log has a stream of its own, which may be behind that of the states.
        up = r"^\d\d:\d\d:\d\d\.\d{3} INFO  greeter is up pid=\d+$"
        eventually(lambda: re.search(up, run.text, re.M), within=10 * SLOWNESS, what="the plugin's own line")
        assert re.search(r"^  address  unix:/\S+/plugins/greeter\.sock$", run.text, re.M)
        example = next(line for line in run.lines if line.startswith("  try"))
        command = example.split(maxsplit=1)[1]
        answer = subprocess.run(
            ["bash", "-c", command],
            env={**os.environ, "PATH": f"{TOOLS}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
        )
        assert answer.returncode == 0, answer.stderr
        assert json.loads(answer.stdout)["message"] == "Hello, you!"
        assert socket in command
        run.interrupt()
        run.wait(r"^stopping$")
        run.wait(r"STATE STOPPED")
        run.wait_ended(0)
        assert "\x1b" not in run.text


def test_a_new_executable_is_swapped_in(marker: dict[str, str], tmp_path: Path) -> None:
    program = tmp_path / "plugin"
    shutil.copy(GREETER, program)
    with AuthorRun("--watch", program, "--name", "greeter", env=marker) as run:
        socket = run.wait_ready()
        first = json.loads(call(socket, GREET, "{}"))["pid"]
        # As a linker does: away with the old one, then the new one bit by bit.
        program.unlink()
        image = GREETER.read_bytes()
        half = len(image) // 2
        made = os.open(program, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755)
        with open(made, "wb") as file:
            for piece in (image[:half], image[half:]):
                file.write(piece)
                file.flush()
                time.sleep(0.3)  # longer than the quiet after a last step
        run.wait(r"^plugin has changed$")
        run.wait(r"^swapped in \d+ ms$")
        second = json.loads(call(socket, GREET, "{}"))["pid"]
        assert second != first
        # The same once more: the watch goes on. As an install does it.
        shutil.copy(GREETER, tmp_path / "fresh")
        os.rename(tmp_path / "fresh", program)
        run.wait(r"^swapped in \d+ ms$")
        assert json.loads(call(socket, GREET, "{}"))["pid"] != second


def test_a_rebuild_from_scratch_is_noticed(marker: dict[str, str], tmp_path: Path) -> None:
    build = tmp_path / "build"
    build.mkdir()
    shutil.copy(GREETER, build / "greeter")
    with AuthorRun("--watch", build / "greeter", env=marker) as run:
        run.wait_ready()
        shutil.rmtree(build)
        build.mkdir()
        shutil.copy(GREETER, build / "greeter")
        run.wait(r"^swapped in \d+ ms$")


def test_a_change_of_config_alone_reaches_the_running_plugin(
    marker: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "greeter.toml"
    file.write_text('[config]\ngreeting = "Ahoy"\n')
    with AuthorRun("--watch", "--config", file, GREETER, env=marker) as run:
        socket = run.wait_ready()
        assert greet(socket) == "Ahoy, Ada!"
        pid = json.loads(call(socket, GREET, "{}"))["pid"]
        file.write_text('# a line more\n[config]\ngreeting = "Servus"\n')
        run.wait(r"^greeter\.toml has changed$")
        run.wait(r"^settings in force in \d+ ms, without a restart$")
        assert greet(socket) == "Servus, Ada!"
        assert json.loads(call(socket, GREET, "{}"))["pid"] == pid

        file.write_text('[config]\ngreeting = ""\n')
        run.wait(r"greeting")
        run.wait(r"^the settings before stay$")
        assert greet(socket) == "Servus, Ada!"

        file.write_text('[config\ngreeting = "Hi"\n')
        run.wait(rf"{re.escape(str(file))}:1:\d+: ")
        run.wait(r"^the settings before stay$")
        assert greet(socket) == "Servus, Ada!"

        file.write_text('restart = "never"\nenv = { A = "1" }\n[config]\ngreeting = "Hi"\n')
        run.wait(r"^restarted with it in \d+ ms$")
        assert greet(socket) == "Hi, Ada!"
        assert json.loads(call(socket, GREET, "{}"))["pid"] != pid


def test_errors_of_the_file_have_the_authors_own_places(
    marker: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "x.toml"
    file.write_text('command = [\n  "elsewhere",\n]\nenabled = false\n\nrestrat = "never"\n')
    with AuthorRun("--config", file, GREETER, env=marker) as run:
        run.wait(rf'^{re.escape(str(file))}:6:1: .*"restrat"')
        run.wait_ended(1)


def test_a_schema_of_the_authors_lies_beside_his_file(
    marker: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "greeter.toml"
    (tmp_path / "schema.json").write_text('{"properties": {"greeting": {"enum": ["Ahoy"]}}}')
    file.write_text('config_schema = "schema.json"\n[config]\ngreeting = "Ahoy"\n')
    with AuthorRun("--watch", "--config", file, GREETER, env=marker) as run:
        assert greet(run.wait_ready()) == "Ahoy, Ada!"
        file.write_text(file.read_text().replace("Ahoy", "Servus"))
        run.wait(rf"^{re.escape(str(file))}:3:\d+: ")
        run.wait(r"^the settings before stay$")


def test_a_crash_shows_how_it_ended_and_the_end_of_its_stderr(
    marker: dict[str, str], tmp_path: Path
) -> None:
    program = tmp_path / "crashes"
    program.write_text('#!/bin/sh\necho "no such table: users" >&2\nkill -SEGV $$\n')
    program.chmod(0o755)
    with AuthorRun(program, env=marker) as run:
        run.wait(r"crashes \(pid \d+\) ended: .*signal 11")
        run.wait(r"the end of its stderr")
        run.wait(r"  \| no such table: users")
        # It does not get better by itself.
        run.wait(r"crashes is QUARANTINED", within=60)
        run.wait_ended(1)


def test_a_plugin_that_cannot_work_ends_with_the_reason(marker: dict[str, str]) -> None:
    with AuthorRun(*fault("wrong-core")[:1], "--", *fault("wrong-core")[1:], env=marker) as run:
        run.wait(r"fault_plugin is FAILED: ")
        run.wait_ended(1)
    with AuthorRun("./nowhere", env=marker) as run:
        run.wait(r"nowhere is FAILED: .*no such file", within=30)
        run.wait_ended(1)


def test_a_watch_outlasts_a_plugin_that_cannot_work(marker: dict[str, str], tmp_path: Path) -> None:
    program = tmp_path / "greeter"
    with AuthorRun("--watch", program, env=marker) as run:
        run.wait(r"greeter is FAILED: ")
        run.wait(r"^waiting for a change$")
        shutil.copy(GREETER, program)
        run.wait(r"^swapped in \d+ ms$")
        socket = run.wait_ready()
        assert greet(socket) == "Hello, Ada!"


def test_a_plugin_that_finishes_ends_the_run(marker: dict[str, str]) -> None:
    with AuthorRun(GREETER, env=marker) as run:
        socket = run.wait_ready()
        pid = json.loads(call(socket, GREET, "{}"))["pid"]
        os.kill(pid, signal.SIGTERM)
        run.wait(r"^greeter has finished$")
        run.wait_ended(0)


def test_scripts_and_their_modules_are_watched(marker: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "w"
    shutil.copytree(PLUGINS / "wordcount", folder)
    with AuthorRun("-w", "wordcount.py", cwd=folder, env=marker) as run:
        run.wait(r" is READY after")
        with open(folder / "wordcount.py", "a", encoding="utf-8") as file:
            file.write("# more\n")
        run.wait(r"^wordcount\.py has changed$")
        run.wait(r"^swapped in \d+ ms$")
        (folder / "words.py").write_text("LONGEST = 7\n")
        run.wait(r"^words\.py has changed$")
        run.wait(r"^swapped in \d+ ms$")


def test_the_daemon_dies_with_the_run_and_the_next_one_removes_what_is_left(
    marker: dict[str, str],
) -> None:
    scratch = Path(marker["TMPDIR"])
    # As go-plugin names folders of its own, which nobody locks.
    foreign = scratch / "plugin-dir4711"
    foreign.mkdir()
    run = AuthorRun(GREETER, env=marker)
    left = Path(run.wait_ready()).parents[1]
    run.process.kill()
    run.process.wait()
    eventually(
        lambda: not processes.marked(f"E2E_RUN_ID={marker['E2E_RUN_ID']}"),
        within=20 * SLOWNESS,
        what="its plugind is gone",
    )
    assert left.exists()
    with AuthorRun(GREETER, env=marker) as one:
        in_use = Path(one.wait_ready()).parents[1]
        assert not left.exists()
        with AuthorRun(GREETER, env=marker) as other:
            assert Path(other.wait_ready()).parents[1] != in_use
            assert greet(f"{in_use}/r/plugind.sock") == "Hello, Ada!"
    assert list(scratch.iterdir()) == [foreign]
    foreign.rmdir()


def test_a_folder_is_left_while_a_daemon_still_needs_it(marker: dict[str, str]) -> None:
    with AuthorRun(GREETER, env=marker) as run:
        folder = Path(run.wait_ready()).parents[1]
        # A run that was killed, whose plugin takes its time to end.
        orphan = folder.with_name("plugin-orphan")
        shutil.copytree(folder, orphan, ignore=lambda *_: ["r", "s", "a"])
        (orphan / "r").mkdir()
        with open(orphan / "r" / "plugind.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with AuthorRun(GREETER, env=marker) as other:
                other.wait_ready()
            assert orphan.exists()
        with AuthorRun(GREETER, env=marker) as other:
            other.wait_ready()
        assert not orphan.exists()


def test_a_reader_that_has_gone_ends_it_in_order(marker: dict[str, str]) -> None:
    run = subprocess.Popen(
        [TOOLS / "pluginctl", "plugin", "run", GREETER],
        stdout=subprocess.PIPE,
        env={**os.environ, **marker},
    )
    assert run.stdout and run.stdout.readline()
    run.stdout.close()
    assert run.wait(30 * SLOWNESS) == 0


@contextlib.contextmanager
def by_hand(environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The plugin as its author starts it; it is gone at the end, however the test ends."""
    with subprocess.Popen([GREETER], env=environment, stdout=subprocess.DEVNULL) as plugin:
        try:
            yield plugin
        finally:
            plugin.kill()


def test_a_plugin_that_is_started_by_hand_is_taken_and_nobody_loses_patience(
    marker: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "greeter.toml"
    file.write_text(
        'start_timeout = "500ms"\nenv = { ODD = "it\'s $HOME" }\n'
        '[health]\ninterval = "50ms"\ntimeout = "50ms"\nfailures = 1\n[config]\ngreeting = "Ahoy"\n'
    )
    with AuthorRun("--attach", "--watch", "--config", file, GREETER, env=marker) as run:
        environment = attach(run)
        assert environment["ODD"] == "it's $HOME"
        assert environment["PLUGIND_PLUGIN"] == "1"
        time.sleep(1)  # longer than the start could have taken
        with by_hand(environment) as plugin:
            socket = run.wait_ready()
            answer = json.loads(call(socket, GREET, '{"name": "Ada"}'))
            assert answer == {"message": "Ahoy, Ada!", "pid": plugin.pid}
            # A breakpoint.
            plugin.send_signal(signal.SIGSTOP)
            time.sleep(1)
            plugin.send_signal(signal.SIGCONT)
            assert json.loads(call(socket, GREET, "{}"))["pid"] == plugin.pid
            assert run.text.count("STATE READY") == 1 and "UNREADY" not in run.text
            # Settings reach it as ever, and wait as well.
            plugin.send_signal(signal.SIGSTOP)
            file.write_text(file.read_text().replace("Ahoy", "Servus"))
            run.wait(r"^taken over by plugind$")
            time.sleep(1)
            assert "in force" not in run.text and "refuses" not in run.text
            plugin.send_signal(signal.SIGCONT)
            run.wait(r"^settings in force in ")
            assert greet(socket) == "Servus, Ada!"
            # It asks its host, which knows it by the relay's socket.
            with grpc.insecure_channel(
                environment["PLUGIND_HOST_ADDRESS"], options=[("grpc.default_authority", "localhost")]
            ) as channel:
                who = raw_call(channel, "/plugind.host.v1.Host/GetSelf", b"", 10 * SLOWNESS)
                assert b"greeter" in who
            plugin.kill()
        run.wait(r"^it may be started again$")
        with by_hand(environment) as plugin:
            run.wait(r"STATE READY")
            assert json.loads(call(socket, GREET, "{}"))["pid"] == plugin.pid
            run.interrupt()
            run.wait_ended(0)
            assert plugin.wait(10 * SLOWNESS) == 0


@contextlib.contextmanager
def started(command: list[str | Path], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as plugin:  # type: ignore[call-overload]
        try:
            yield plugin
        finally:
            plugin.kill()


@pytest.mark.parametrize("language", DIRECT)
def test_a_plugin_that_is_started_by_hand_does_auto_mtls(
    language: str, marker: dict[str, str], tmp_path: Path
) -> None:
    plugin = parity_plugin(language)
    file = tmp_path / "parity.toml"
    file.write_text("auto_mtls = true\nprotocol_versions = [1, 2]\n")
    text = "x" * 1_000_000
    (tmp_path / "request.json").write_text(json.dumps({"text": text}))
    with AuthorRun("--attach", "--config", file, plugin, env=marker) as run:
        environment = attach(run)
        certificate = environment["PLUGIN_CLIENT_CERT"]
        assert certificate.startswith("-----BEGIN CERTIFICATE-----\n")
        assert certificate.endswith("\n-----END CERTIFICATE-----\n")
        # The second one, too, with what was exported before the first.
        for _ in range(2):
            with started([plugin], environment) as by_hand:
                run.wait(r"STATE READY")
                address = f"{environment['PLUGIN_UNIX_SOCKET_DIR']}/p.sock"
                assert speaks_tls(f"unix:{address}")
                socket = str(Path(address).parents[2] / "r" / "plugind.sock")
                answer = json.loads(
                    call(socket, "parity/parity.v1.Parity/Echo", f"@{tmp_path}/request.json")
                )
                assert answer["text"] == text
                by_hand.kill()
            run.wait(r"^it may be started again$")
        assert run.text.count("export PLUGIN_CLIENT_CERT=") == 1
        # Whoever forgets a part of the environment is told so.
        del environment["PLUGIN_CLIENT_CERT"]
        with started([plugin], environment):
            run.wait(r"TLS.*auto_mtls is set: was it started with the environment that is shown")


def test_a_plugin_that_is_started_by_hand_ends_with_its_host(
    marker: dict[str, str], tmp_path: Path
) -> None:
    """This one has no Shutdown: what tells it is SIGTERM."""
    plugin = PLUGINS / "wordcount" / "wordcount.py"
    with AuthorRun("--attach", plugin, env=marker) as run:
        with started([plugin], attach(run)) as by_hand:
            run.wait_ready()
            run.interrupt()
            run.wait_ended(0)
            assert by_hand.wait(10 * SLOWNESS) == 0


def test_a_plugin_at_a_breakpoint_ends_as_soon_as_it_goes_on(marker: dict[str, str]) -> None:
    with AuthorRun("--attach", GREETER, env=marker) as run:
        with by_hand(attach(run)) as plugin:
            run.wait_ready()
            plugin.send_signal(signal.SIGSTOP)
            run.interrupt()
            run.wait_ended(0)
            plugin.send_signal(signal.SIGCONT)
            assert plugin.wait(10 * SLOWNESS) == 0


def test_the_settings_of_a_service_do_not_keep_an_author_from_his_plugin(
    marker: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "greeter.toml"
    file.write_text('user = "nobody"\nafter = ["elsewhere"]\n[limits]\nnofile = 8\n')
    with AuthorRun("--attach", "--config", file, GREETER, env=marker) as run:
        with by_hand(attach(run)):
            assert greet(run.wait_ready()) == "Hello, Ada!"
    file.write_text(file.read_text().partition("[limits]")[0])
    with AuthorRun("--config", file, GREETER, env=marker) as run:
        assert greet(run.wait_ready()) == "Hello, Ada!"


def test_nobody_waits_for_a_plugin_that_cannot_be_started_by_hand_either(
    marker: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "greeter.toml"
    file.write_text('working_directory = "nowhere"\n')
    with AuthorRun("--attach", "--config", file, GREETER, env=marker) as run:
        run.wait(r"greeter is FAILED: cannot enter the working directory ")
        run.wait_ended(1)


def test_an_environment_that_the_settings_change_is_shown_again(
    marker: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "greeter.toml"
    file.write_text('env = { WHO = "me" }\n')
    with AuthorRun("--attach", "--watch", "--config", file, GREETER, env=marker) as run:
        assert attach(run)["WHO"] == "me"
        file.write_text('env = { WHO = "you" }\nauto_mtls = true\n')
        changed = attach(run)
        assert changed["WHO"] == "you"
        with by_hand(changed):
            assert greet(run.wait_ready()) == "Hello, Ada!"


def test_colours_are_for_terminals_that_want_them(marker: dict[str, str]) -> None:
    def shown(**variables: str) -> bytes:
        master, slave = pty.openpty()
        run = subprocess.Popen(
            [TOOLS / "pluginctl", "plugin", "run", GREETER],
            stdin=subprocess.DEVNULL,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "xterm", **marker, **variables},
        )
        os.close(slave)
        output = b""
        while b"status " not in output:
            output += os.read(master, 65536)
        run.send_signal(signal.SIGINT)
        try:
            while piece := os.read(master, 65536):
                output += piece
        except OSError:  # the terminal's end
            pass
        assert run.wait(20 * SLOWNESS) == 0
        os.close(master)
        return output

    assert b"\x1b[" in shown()
    assert b"\x1b[" not in shown(NO_COLOR="1")


def test_what_is_missing_is_said(marker: dict[str, str], tmp_path: Path) -> None:
    alone = tmp_path / "bin" / "pluginctl"
    alone.parent.mkdir()
    shutil.copy(TOOLS / "pluginctl", alone)
    done = subprocess.run([alone, "plugin", "run", GREETER], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"there is no plugind at {alone.parent}/plugind nor at " in done.stderr
    done = subprocess.run([TOOLS / "pluginctl", "plugin", "run"], capture_output=True, text=True)
    assert done.returncode == 1 and "name the plugin's program" in done.stderr
