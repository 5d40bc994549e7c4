"""The Node SDK as a package: its own tests, its README, its copies of the .proto files, a go-plugin host over it."""

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
from settings import BUILD, SANITIZED, SLOWNESS, SOURCE

SDK = SOURCE / "sdk" / "node"


def run(*command: str | Path, cwd: Path, code: int = 0) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=200 * SLOWNESS)
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def installed() -> Path:
    """A node_modules that has the SDK, and what its lock file says: the parity plugin's. Skips where there is no Node."""
    return parity_plugin("node").parent / "node_modules"


def project(folder: Path) -> Path:
    """An author's folder with the SDK installed and the README's first plugin."""
    (folder / "node_modules").symlink_to(installed())
    (folder / "greeter.proto").write_text(block("proto"))
    (folder / "greeter.js").write_text(block("js"))
    (folder / "greeter.js").chmod(0o755)
    return folder / "greeter.js"


def copy_of_the_sdk(folder: Path) -> Path:
    """With nothing in it that an earlier install may have left in the sources."""
    copy = folder / "sdk"
    shutil.copytree(SDK, copy, ignore=shutil.ignore_patterns("node_modules"))
    return copy


def block(language: str, at: int = 0) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", (SDK / "README.md").read_text(), re.DOTALL)
    return blocks[at]


@pytest.mark.parametrize(
    "file", ["plugind/plugin/v1/plugin.proto", "plugind/host/v1/host.proto", "plugin/go_plugin.proto"]
)
def test_the_protos_of_the_package_are_the_projects(file: str) -> None:
    same = (SDK / "proto" / file).read_bytes() == (SOURCE / "proto" / file).read_bytes()
    assert same, f"cp proto/{file} sdk/node/proto/{file}"


# The package has no C++ in it: it is the same in every build.
if not SANITIZED:

    def test_its_own_tests_pass(tmp_path: Path) -> None:
        copy = copy_of_the_sdk(tmp_path)
        (copy / "node_modules").symlink_to(installed() / "plugind" / "node_modules")
        said = run("npm", "test", "--silent", cwd=copy)
        passed, failed = (int(re.search(rf"^# {what} (\d+)", said, re.M)[1]) for what in ("pass", "fail"))
        assert passed > 50 and failed == 0, said

    def test_the_readmes_plugin_is_ten_lines_beside_its_methods(tmp_path: Path) -> None:
        lines = [line for line in block("js").splitlines() if line.strip()]
        method = block("js").partition("async Greet")[2].partition("    },")[0].count("\n") + 1
        assert len(lines) - method <= 10
        said = run("node", project(tmp_path), cwd=tmp_path, code=1)
        assert "greeter 1.0.0 is a plugin" in said

    def test_the_readmes_commands_work(tmp_path: Path) -> None:
        installed()
        author = tmp_path / "author"
        author.mkdir()
        (author / "greeter.proto").write_text(block("proto"))
        (author / "greeter.js").write_text(block("js"))
        sdk = copy_of_the_sdk(tmp_path)
        commands = block("sh").replace("PATH/TO/plugind/sdk/node", str(sdk))
        said = run("bash", "-ec", commands, cwd=author)
        # npm init prints JSON too, before it.
        info, _ = json.JSONDecoder().raw_decode(said[said.rindex('{\n  "name": "greeter"') :])
        assert info["services"] == ["greeter.v1.Greeter"]
        assert not (sdk / "node_modules").exists()

    def test_a_linked_package_works_too(tmp_path: Path) -> None:
        installed()
        author = tmp_path / "author"
        author.mkdir()
        run("npm", "init", "-y", cwd=author)
        run("npm", "install", copy_of_the_sdk(tmp_path), cwd=author)
        assert (author / "node_modules" / "plugind").is_symlink()
        said = run("node", "-p", "typeof require('plugind').loadProto", cwd=author)
        assert said.strip() == "function"

    def test_the_readmes_test_is_right(tmp_path: Path) -> None:
        project(tmp_path)
        (tmp_path / "greeter.test.js").write_text(block("js", 1))
        assert "# pass 1" in run("node", "--test", "greeter.test.js", cwd=tmp_path)

    def test_it_is_imported_by_modules(tmp_path: Path) -> None:
        project(tmp_path)
        (tmp_path / "greeter.mjs").write_text(
            'import { Plugin, loadProto } from "plugind";\n'
            'import { FakeHost } from "plugind/testing";\n'
            'const { greeter } = loadProto(new URL("greeter.proto", import.meta.url));\n'
            'const plugin = new Plugin("greeter", "1.0.0").service(greeter.v1.Greeter, {});\n'
            "const host = await FakeHost.start(plugin);\n"
            "console.log(Object.keys(host.agreed).length);\n"
            "await host.stop();\n"
        )
        assert run("node", "greeter.mjs", cwd=tmp_path).strip() == "3"

    def test_the_declarations_have_what_the_code_has() -> None:
        declared = (SDK / "index.d.ts").read_text().partition("export class Plugin {")[2]
        declared = declared.partition("\n}")[0]
        names = set(re.findall(r"^  (\w+)\(", declared, re.M)) - {"constructor"}
        code = (SDK / "lib" / "plugin.js").read_text().partition("class Plugin {")[2]
        assert names == set(re.findall(r"^  (?:async )?(\w+)\(", code, re.M)) - {"constructor"}

    def test_a_go_plugin_host_drives_a_node_plugin(tmp_path: Path) -> None:
        host = BUILD / "tests" / "go_plugin_host"
        if not host.exists():
            skip("the go-plugin host was not built: no Go 1.24 or later is on the PATH")
        (tmp_path / "node_modules").symlink_to(installed())
        shutil.copy(SOURCE / "plugins" / "greeter" / "greeter.proto", tmp_path)
        shutil.copy(SDK / "test" / "fixtures" / "sample_greeter.js", tmp_path)
        said = run(host, tmp_path / "sample_greeter.js", cwd=tmp_path)
        assert "clean exit" in said


def test_the_readmes_plugin_runs_under_plugind(daemon: Daemon) -> None:
    folder = daemon.root / "greeter"
    folder.mkdir()
    daemon.plugin("greeter", [project(folder)])
    daemon.start()
    daemon.wait_ready("greeter")
    answer = daemon.ctl("call", "greeter/greeter.v1.Greeter/Greet", "-d", '{"name": "Ada"}')
    assert json.loads(answer.stdout) == {"message": "Hello Ada"}
