"""What `cmake --install` puts under a prefix works from there, and after the whole tree has been moved."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from daemon import Daemon, fault
from requirements import skip
from settings import BUILD, SLOWNESS, SOURCE

CONFIGURED = (BUILD / "cmake_install.cmake").exists()


class Installed(Daemon):
    def __init__(self, prefix: Path) -> None:
        super().__init__()
        self.prefix = prefix

    def command(self) -> list[str]:
        return [str(self.prefix / "bin" / "plugind"), *super().command()[1:]]

    def try_it(self) -> None:
        self.plugin("one", fault("good"))
        self.start()
        pid = self.wait_ready("one")["one"].pid
        assert os.readlink(f"/proc/{self.keeper_pid}/exe") == str(
            self.prefix / "libexec" / "plugind" / "plugind-keeper"
        )
        assert os.readlink(f"/proc/{self.brain_pid}/exe") == str(self.prefix / "bin" / "plugind")
        listed = subprocess.run(
            [self.prefix / "bin" / "pluginctl", "--socket", self.socket, "status", "--check"],
            capture_output=True,
            text=True,
        )
        assert listed.returncode == 0 and str(pid) in listed.stdout, listed.stdout + listed.stderr
        self.stop()


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    if not CONFIGURED:
        skip(f"{BUILD} is no build tree that can be installed")
    prefix = tmp_path.resolve() / "usr"
    # The line of deploy/README.md, for the build that is tested.
    subprocess.run(
        ["cmake", "--install", BUILD, "--component", "plugind", "--prefix", prefix],
        check=True,
        capture_output=True,
        timeout=120 * SLOWNESS,
    )
    return prefix


@pytest.fixture
def installed(prefix: Path) -> Iterator[Installed]:
    daemon = Installed(prefix)
    yield daemon
    daemon.close()


def test_an_installed_tree_works_wherever_it_is(installed: Installed, tmp_path: Path) -> None:
    installed.try_it()
    moved = tmp_path.resolve() / "elsewhere"
    installed.prefix.rename(moved)
    installed.prefix = moved
    installed.try_it()


def test_a_tree_without_its_keeper_says_where_it_looked(installed: Installed) -> None:
    keeper = installed.prefix / "libexec" / "plugind" / "plugind-keeper"
    keeper.unlink()
    installed.launch()
    installed.wait_ended(code=1)
    assert f"nor at {keeper}: the installation is incomplete" in installed.log_tail()


def test_everything_that_the_page_names_is_installed_and_nothing_else(prefix: Path) -> None:
    files = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.is_file()}
    assert files == {
        "bin/plugind",
        "bin/pluginctl",
        "libexec/plugind/plugind-keeper",
        "lib/systemd/system/plugind.service",
        "share/bash-completion/completions/pluginctl",
        "share/doc/plugind/README.md",
        "share/fish/vendor_completions.d/pluginctl.fish",
        "share/zsh/vendor-completions/_pluginctl",
    }


def test_the_installed_unit_runs_the_installed_program(prefix: Path) -> None:
    unit = prefix / "lib" / "systemd" / "system" / "plugind.service"
    shipped = (SOURCE / "deploy" / "systemd" / "plugind.service").read_text()
    assert f"ExecStart={prefix}/bin/plugind\n" in unit.read_text()
    assert f"Documentation=file://{prefix}/share/doc/plugind/README.md\n" in unit.read_text()
    assert unit.read_text().replace(str(prefix), "/usr") == shipped
    if not shutil.which("systemd-analyze"):
        skip("systemd-analyze is not there (Debian package systemd)")
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit],
        capture_output=True,
        text=True,
        timeout=60 * SLOWNESS,
    )
    assert verified.returncode == 0 and not verified.stderr.strip(), verified.stderr
