"""What `cmake --install` puts under a prefix works from there, and after the whole tree has been moved."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from daemon import Daemon, fault
from examples import add_greeter
from requirements import skip
from settings import BUILD, SANITIZED, SLOWNESS, SOURCE

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


def need_build_tree() -> None:
    if not CONFIGURED:
        skip(f"{BUILD} is no build tree that can be installed")


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    need_build_tree()
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


# ---- The C++ SDK ----


@pytest.fixture
def sdk(tmp_path: Path) -> Path:
    need_build_tree()
    prefix = tmp_path.resolve() / "sdk"
    run("cmake", "--install", BUILD, "--component", "sdk", "--prefix", prefix)
    return prefix


def run(*command: str | Path, **keys: str | Path | dict[str, str]) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=600 * SLOWNESS, **keys
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_sdk_is_one_library_its_headers_and_how_to_find_them(sdk: Path) -> None:
    files = {str(path.relative_to(sdk)) for path in sdk.rglob("*") if path.is_file()}
    targets = {file for file in files if re.search(r"/plugindTargets(-\w+)?\.cmake$", file)}
    assert len(targets) == 2
    library = next(sdk.rglob("libplugind_sdk.a")).parent.relative_to(sdk)
    assert files - targets == {
        "include/plugind/client.h",
        "include/plugind/plugin.h",
        "include/plugind/version.h",
        f"{library}/libplugind_sdk.a",
        f"{library}/cmake/plugind/plugindConfig.cmake",
        f"{library}/cmake/plugind/plugindConfigVersion.cmake",
        f"{library}/pkgconfig/plugind-sdk.pc",
    }


CALLER = """
cmake_minimum_required(VERSION 3.25)
project(caller CXX)
find_package(plugind REQUIRED)
add_library(generated OBJECT greeter.pb.cc greeter.grpc.pb.cc google/rpc/error_details.pb.cc)
add_executable(page page.cc)
add_library(header OBJECT header.cc)
foreach(target IN ITEMS generated page header)
  set_target_properties(${target} PROPERTIES CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON)
  target_include_directories(${target} SYSTEM PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${target} PRIVATE plugind::sdk)
endforeach()
target_compile_options(header PRIVATE -Wall -Wextra -Werror)
target_link_libraries(page PRIVATE generated)
"""

# Before any header of gRPC: client.h has to stand alone.
AROUND_THE_HEADERS_EXAMPLE = """
#include <plugind/client.h>
#include <chrono>
#include <iostream>
#include <grpcpp/grpcpp.h>
#include "greeter.grpc.pb.h"
bool Example(const greeter::v1::GreetRequest& request, greeter::v1::GreetResponse& response) {{
  bool again = false;
{example}
  return again && status.ok();
}}
"""


# Against a library with sanitizers, an author's project would need them too.
if not SANITIZED:

    def test_a_program_outside_of_the_tree_calls_with_the_installed_sdk(
        sdk: Path, daemon: Daemon, tmp_path: Path
    ) -> None:
        """The client's examples, beside generated code for google/rpc as many programs have it: the SDK's own must not
        be registered a second time, which would abort the program."""
        project = tmp_path / "project"
        build = project / "build"
        (project / "google" / "rpc").mkdir(parents=True)
        page = (SOURCE / "sdk" / "cpp" / "README.md").read_text()
        examples = re.findall(r"^```cpp\n(.*?)^```", page, re.M | re.S)
        (program,) = (text for text in examples if "plugind/client.h" in text)
        (project / "page.cc").write_text(program)
        header = (sdk / "include" / "plugind" / "client.h").read_text()
        comment = header.partition("// Example:\n")[2].partition("#pragma once")[0]
        lines = [line.removeprefix("//") for line in comment.splitlines() if "#include" not in line]
        (project / "header.cc").write_text(
            AROUND_THE_HEADERS_EXAMPLE.format(example="\n".join(lines))
        )
        (project / "CMakeLists.txt").write_text(CALLER)
        protoc = ["protoc", f"--cpp_out={project}"]
        run(*protoc, "-I", SOURCE / "proto", "google/rpc/error_details.proto")
        generator = shutil.which("grpc_cpp_plugin")
        run(
            *protoc,
            f"--grpc_out={project}",
            f"--plugin=protoc-gen-grpc={generator}",
            "-I",
            SOURCE / "plugins" / "greeter",
            "greeter.proto",
        )
        run("cmake", "-G", "Ninja", "-S", project, "-B", build, f"-DCMAKE_PREFIX_PATH={sdk}")
        run("cmake", "--build", build)
        packages = {**os.environ, "PKG_CONFIG_PATH": str(next(sdk.rglob("pkgconfig")))}
        flags = run("pkg-config", "--cflags", "--libs", "plugind-sdk", env=packages).split()
        objects = [path for path in build.rglob("*.o") if path.name != "header.cc.o"]
        run("c++", "-o", build / "by-pkg-config", *objects, *flags)

        add_greeter(daemon)
        daemon.start().wait_ready("greeter")
        environment = {**os.environ, "PLUGIND_SOCKET": str(daemon.socket)}
        for name in ("page", "by-pkg-config"):
            assert run(build / name, env=environment) == "Hello, Ada!\n"
        daemon.ctl("stop", "greeter")
        refused = subprocess.run(
            [build / "page"], env=environment, capture_output=True, text=True
        )
        assert refused.returncode == 1
        assert refused.stderr.endswith("\nPLUGIN_UNAVAILABLE\nnot executed\n")
