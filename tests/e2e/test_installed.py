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
    assert f"ExecReload={prefix}/bin/pluginctl reload --no-wait\n" in unit.read_text()
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
    # For `pluginctl plugin new`: templates, and the packages of the other languages without what they are tested with.
    shared = {file for file in files if file.startswith("share/plugind/")}
    folders = {"/".join(file.split("/")[2:4]) for file in shared}
    assert folders == {f"templates/{name}" for name in ("cpp", "python", "go", "node")} | {
        f"sdk/{name}" for name in ("python", "go", "node")
    }
    kept_out = {"node_modules", "__pycache__", "test", "tests", "build", "dist"}
    assert not {file for file in shared if kept_out.intersection(file.split("/")[:-1])}
    library = next(sdk.rglob("libplugind_sdk.a")).parent.relative_to(sdk)
    assert files - targets - shared == {
        "include/plugind/client.h",
        "include/plugind/export.h",
        "include/plugind/peers.h",
        "include/plugind/plugin.h",
        "include/plugind/settings.h",
        "include/plugind/testing/fake_host.h",
        "include/plugind/version.h",
        f"{library}/libplugind_sdk.a",
        f"{library}/libplugind_sdk.so",
        f"{library}/libplugind_sdk.so.0.1",
        f"{library}/libplugind_sdk.so.0.1.0",
        f"{library}/cmake/plugind/plugindConfig.cmake",
        f"{library}/cmake/plugind/plugindConfigVersion.cmake",
        f"{library}/pkgconfig/plugind-sdk.pc",
        f"{library}/pkgconfig/plugind-sdk-shared.pc",
    }


# What a public header may include beside the other public ones: the language, and nothing of the daemon, Abseil or spdlog.
STANDARD_HEADER = re.compile(r"#include <[a-z_]+>")


def test_the_public_headers_include_only_the_language_and_one_another(sdk: Path) -> None:
    headers = list((sdk / "include").rglob("*.h"))
    assert len(headers) == 7
    for header in headers:
        text = header.read_text()
        assert "// Example:\n" in text.partition("#pragma once")[0], header
        for line in text.splitlines():
            if line.startswith("#include"):
                assert STANDARD_HEADER.fullmatch(line) or line.startswith("#include <plugind/"), line
        alone = ("-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror")
        run("c++", *alone, "-I", sdk / "include", "-include", header, "-x", "c++", "/dev/null")


# What the page's example of settings stands in.
AROUND_THE_PAGES_SETTINGS = """
#include <plugind/plugin.h>
struct Greeter {{
  void SetMost(int most);
  void Flush();
}};
void Declare(plugind::Plugin& plugin, Greeter& impl, const char* kSchema) {{
{example}
}}
"""


def test_the_pages_example_of_settings_compiles(sdk: Path, tmp_path: Path) -> None:
    page = (SOURCE / "sdk" / "cpp" / "README.md").read_text()
    examples = re.findall(r"^```cpp\n(.*?)^```", page, re.M | re.S)
    (example,) = (text for text in examples if "on_drain" in text)
    source = tmp_path / "settings.cc"
    source.write_text(AROUND_THE_PAGES_SETTINGS.format(example=example))
    run("c++", "-std=c++17", "-fsyntax-only", "-Wall", "-I", sdk / "include", source)


# A sanitizer adds names of its own.
if not SANITIZED:

    def test_the_shared_library_lets_out_the_public_names_and_no_others(sdk: Path) -> None:
        library = next(sdk.rglob("libplugind_sdk.so")).resolve()
        dynamic = run("readelf", "-dW", library)
        assert "soname: [libplugind_sdk.so.0.1]" in dynamic
        names = run("nm", "-DC", "--defined-only", library).splitlines()
        assert any(" T plugind::Plugin::serve(" in name for name in names)
        assert any(" T plugind::testing::FakeHost::FakeHost(" in name for name in names)
        # Weak ones are the compiler's own copies of what is inline in other people's headers.
        strong = [name for name in names if re.match(r"[0-9a-f]+ [TDBR] ", name)]
        public = re.compile(
            r"(vtable for |typeinfo for |typeinfo name for |guard variable for )?"
            r"plugind::(Plugin|Client|Settings|BadSetting|HostError|testing::FakeHost"
            r"|log|error_info|executed|carry_trace)\b"
        )
        inside = [name for name in strong if not public.match(name.split(" ", 2)[2])]
        assert not inside, "\n".join(inside)


CALLER = """
cmake_minimum_required(VERSION 3.25)
project(caller CXX)
find_package(plugind REQUIRED)
add_library(generated OBJECT greeter.pb.cc greeter.grpc.pb.cc google/rpc/error_details.pb.cc)
add_executable(page page.cc)
add_executable(page_shared page.cc)
foreach(target IN ITEMS generated page page_shared)
  set_target_properties(${target} PROPERTIES CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON)
  target_include_directories(${target} SYSTEM PRIVATE ${CMAKE_SOURCE_DIR})
endforeach()
target_link_libraries(generated PUBLIC protobuf::libprotobuf gRPC::grpc++)
target_link_libraries(page PRIVATE generated plugind::sdk)
target_link_libraries(page_shared PRIVATE generated plugind::sdk_shared)
target_compile_options(page PRIVATE -Wall -Wextra -Werror)
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
        pages = [*build.rglob("page.dir/page.cc.o"), *build.rglob("generated.dir/**/*.o")]
        packages = {**os.environ, "PKG_CONFIG_PATH": str(next(sdk.rglob("pkgconfig")))}
        for package, name in (("plugind-sdk", "by-pkg-config"), ("plugind-sdk-shared", "by-so")):
            flags = run("pkg-config", "--cflags", "--libs", package, env=packages).split()
            run("c++", "-o", build / name, *pages, *flags)
        library = next(sdk.rglob("libplugind_sdk.so")).parent
        assert "libplugind_sdk" not in run("readelf", "-dW", build / "by-pkg-config")
        for name in ("page_shared", "by-so"):
            assert "Shared library: [libplugind_sdk.so.0.1]" in run("readelf", "-dW", build / name)

        add_greeter(daemon)
        daemon.start().wait_ready("greeter")
        environment = {
            **os.environ,
            "PLUGIND_SOCKET": str(daemon.socket),
            "LD_LIBRARY_PATH": str(library),
        }
        for name in ("page", "page_shared", "by-pkg-config", "by-so"):
            assert run(build / name, env=environment) == "Hello, Ada!\n"
        daemon.ctl("stop", "greeter")
        refused = subprocess.run(
            [build / "page"], env=environment, capture_output=True, text=True
        )
        assert refused.returncode == 1
        assert refused.stderr.endswith("\nPLUGIN_UNAVAILABLE\nnot executed\n")
