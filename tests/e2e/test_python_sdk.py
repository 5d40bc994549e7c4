"""The Python SDK as a package: its own tests on the oldest and the newest grpcio, its README, its generated file."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from daemon import Daemon
from parity_plugins import parity_plugin
from requirements import skip
from settings import BUILD, SLOWNESS, SOURCE

SDK = SOURCE / "sdk" / "python"
PACKAGES = ("python", "python-newest")  # Debian's, and what PyPI has


def venv(variant: str) -> Path:
    """One that has the SDK installed with pip: the parity plugin's."""
    return parity_plugin(variant).parent / "venv"


def run(*command: str | Path, cwd: Path, code: int = 0) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=500 * SLOWNESS)
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stderr + done.stdout


@pytest.mark.parametrize("variant", PACKAGES)
def test_its_own_tests_pass(variant: str, tmp_path: Path) -> None:
    python = venv(variant) / "bin" / "python"
    said = run(
        python, "-B", "-m", "pytest", "-p", "no:cacheprovider", "-q", SDK / "tests", cwd=tmp_path
    )
    assert re.search(r"\d\d passed", said), said


@pytest.mark.parametrize("variant", PACKAGES)
def test_what_is_installed_is_a_typed_package(variant: str, tmp_path: Path) -> None:
    python = venv(variant) / "bin" / "python"
    where = run(python, "-c", "import plugind; print(plugind.__file__)", cwd=tmp_path)
    package = Path(where.strip()).parent
    assert venv(variant) in package.parents
    assert {file.name for file in (SDK / "src" / "plugind").iterdir() if file.is_file()} <= {
        file.name for file in package.iterdir()
    }
    assert (package / "py.typed").exists()


def test_the_descriptors_are_what_the_protos_make(tmp_path: Path) -> None:
    made = tmp_path / "contract.binpb"
    run(SDK / "generate.sh", made, cwd=tmp_path)
    assert (
        made.read_bytes() == (SDK / "src" / "plugind" / "contract.binpb").read_bytes()
    ), "run sdk/python/generate.sh"


def block(language: str, at: int = 0) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", (SDK / "README.md").read_text(), re.DOTALL)
    return blocks[at]


def stubs(proto: Path, folder: Path) -> None:
    """As Debian makes them."""
    run(
        "protoc",
        f"--python_out={folder}",
        f"--grpc_out={folder}",
        "--plugin=protoc-gen-grpc=/usr/bin/grpc_python_plugin",
        f"-I{proto.parent}",
        proto.name,
        cwd=folder,
    )


def first_plugin(folder: Path) -> Path:
    """The README's."""
    (folder / "greeter.proto").write_text(block("proto"))
    (folder / "greeter.py").write_text(block("python"))
    stubs(folder / "greeter.proto", folder)
    return folder / "greeter.py"


def test_the_readmes_plugin_is_ten_lines_beside_its_methods(tmp_path: Path) -> None:
    lines = [line for line in block("python").splitlines() if line.strip()]
    method = [
        line for line in lines if line.startswith("    ") and ("def " in line or "return" in line)
    ]
    assert len(lines) - len(method) <= 10
    python = venv("python") / "bin" / "python"
    said = run(python, first_plugin(tmp_path), cwd=tmp_path, code=1)
    assert "greeter 1.0.0 is a plugin" in said
    info = json.loads(run(python, tmp_path / "greeter.py", "--plugind-info", cwd=tmp_path))
    assert info["services"] == ["greeter.v1.Greeter"]


def test_the_readmes_commands_work(tmp_path: Path) -> None:
    parity_plugin("python-newest")  # skips where there is no venv
    (tmp_path / "greeter.proto").write_text(block("proto"))
    (tmp_path / "greeter.py").write_text(block("python"))
    commands = block("sh").replace("PATH/TO/plugind", str(SOURCE))
    commands = commands.replace("python3 -m venv", "/usr/bin/python3 -m venv")
    said = run("bash", "-ec", commands, cwd=tmp_path)
    assert json.loads(said.splitlines()[-1])["services"] == ["greeter.v1.Greeter"]


def test_the_readmes_plugin_runs_under_plugind(daemon: Daemon) -> None:
    folder = daemon.root / "greeter"
    folder.mkdir()
    daemon.plugin("greeter", [venv("python") / "bin" / "python", first_plugin(folder)])
    daemon.start()
    daemon.wait_ready("greeter")
    answer = daemon.ctl("call", "greeter/greeter.v1.Greeter/Greet", "-d", '{"name": "Ada"}')
    assert json.loads(answer.stdout) == {"message": "Hello Ada"}


def test_the_readmes_tests_are_right(tmp_path: Path) -> None:
    for at in (1, 2):
        (tmp_path / f"test_readme_{at}.py").write_text(block("python", at))
    python = venv("python") / "bin" / "python"
    run(python, "-c", "import test_readme_1", cwd=tmp_path)
    said = run(
        python,
        "-B",
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-q",
        "test_readme_2.py",
        cwd=tmp_path,
    )
    assert "1 passed" in said


def test_a_go_plugin_host_drives_a_python_plugin(tmp_path: Path) -> None:
    host = BUILD / "tests" / "go_plugin_host"
    if not host.exists():
        skip("the go-plugin host was not built: no Go 1.24 or later is on the PATH")
    shutil.copy(SDK / "tests" / "sample_greeter.py", tmp_path)
    stubs(SOURCE / "plugins" / "greeter" / "greeter.proto", tmp_path)
    program = tmp_path / "greeter"
    program.write_text(
        f'#!/bin/sh\nexec {venv("python")}/bin/python {tmp_path}/sample_greeter.py\n'
    )
    program.chmod(0o755)
    assert "clean exit" in run(host, program, cwd=tmp_path)
