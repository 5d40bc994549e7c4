"""What the pages say is so: every command in them is run, every snippet built or loaded, every link followed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Callable, NamedTuple

import pytest
from google.protobuf import json_format
from plugind.control.v1 import control_pb2

from daemon import Daemon
from examples import add_greeter, add_kv, add_wordcount, call_kv, call_wordcount
from parity_plugins import parity_plugin
from requirements import need_go_plugin, skip
from settings import BIN, BUILD, PLUGINS, SANITIZED, SLOWNESS, SOURCE


class Block(NamedTuple):
    page: Path
    line: int  # of its first line
    language: str
    text: str


def find_pages() -> list[Path]:
    """Every page of the sources; what a build or git has put there is not one."""
    found = []
    for folder, folders, files in os.walk(SOURCE):
        folders[:] = [f for f in folders if not f.startswith(".") and f not in ("build", "corpus", "node_modules")]
        found += [Path(folder) / file for file in files if file.endswith(".md")]
    return sorted(found)


def find_blocks(page: Path) -> list[Block]:
    found = []
    language, begun, lines = None, 0, []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if line.startswith("```") and language is None:
            language, begun, lines = line[3:].strip(), number + 1, []
        elif line.startswith("```"):
            found.append(Block(page, begun, language or "", "\n".join(lines) + "\n"))
            language = None
        else:
            lines.append(line)
    assert language is None, f"{page}: the block of line {begun} has no end"
    return found


PAGES = find_pages()
BLOCKS = [block for page in PAGES for block in find_blocks(page)]


def name_of(page: Path) -> str:
    return str(page.relative_to(SOURCE))


def snippet(page: str, language: str) -> str:
    """The first one in that language."""
    return next(b.text for b in BLOCKS if name_of(b.page) == page and b.language == language)


# ---- Commands ----

# Blocks of these languages are commands; so are those without one that look it and are no picture.
SHELL = ("sh", "bash", "shell", "console")
LOOKS_LIKE_A_COMMAND = re.compile(
    r"^(sudo |[A-Z_]+=\S+ )*(\S*/)?(\S+\.sh|pluginctl|plugind|cmake|ctest|pytest|systemctl|apt-get)( |$)",
    re.M,
)


def looks_like_commands(text: str) -> bool:
    return bool(LOOKS_LIKE_A_COMMAND.search(text)) and not re.search("[─►▼▲│◄]", text)


def uncommented(line: str) -> str:
    return re.sub(r"\s+#.*", "", line).strip()


# A page whose lines belong together, in a folder of their own: the test that walks through it.
WALKED = {"sdk/guide.md": "tests/e2e/test_guide.py"}


def commands(page: Path) -> list[str]:
    """Line by line, with their comments."""
    if name_of(page) in WALKED:
        return []
    return [
        line
        for block in BLOCKS
        if block.page == page
        and (block.language in SHELL or not block.language and looks_like_commands(block.text))
        for line in block.text.splitlines()
        if uncommented(line)
    ]


# Too heavy to be run here: where each is run instead, as a file and the words in it that do so.
ELSEWHERE = {
    "deploy/quickstart.sh": (
        "tests/e2e/test_quickstart.py",
        "def test_quickstart_calls_kills_and_shows_it_come_back(",
    ),
    "tests/run.sh": (".ci/run", "exec tests/run.sh\n"),
    "deploy/install-packages.sh build run": (
        "deploy/quickstart.sh",
        "\ndeploy/install-packages.sh build run\n",
    ),
    "cmake --preset release": ("deploy/quickstart.sh", "\ncmake --preset release "),
    "cmake --build --preset release": ("deploy/quickstart.sh", "\ncmake --build --preset release "),
    'cmake --install build/release --component plugind --prefix "$PREFIX"': (
        "tests/e2e/test_installed.py",
        '"cmake", "--install", BUILD, "--component", "plugind", "--prefix", prefix',
    ),
    "cmake --preset dev && cmake --build --preset dev": (
        "tests/e2e/test_docs.py",
        "def test_the_presets_and_test_names_of_the_pages_exist(",
    ),
    "ctest --preset dev -R supervisor": (
        "tests/e2e/test_docs.py",
        "def test_the_presets_and_test_names_of_the_pages_exist(",
    ),
    "PLUGIND_BUILD=build/dev /usr/bin/python3 -m pytest -c tests/e2e/pytest.ini tests/e2e -k double-forks": (
        "tests/e2e/test_docs.py",
        "def test_the_presets_and_test_names_of_the_pages_exist(",
    ),
    "PLUGIND_BUILD=build/release /usr/bin/python3 -m pytest -c tests/e2e/pytest.ini tests/e2e/test_parity.py -k python": (
        "tests/e2e/test_docs.py",
        "def test_the_presets_and_test_names_of_the_pages_exist(",
    ),
    **dict.fromkeys(
        (
            "python3 -m venv venv",
            "venv/bin/pip install grpcio-tools PATH/TO/plugind/sdk/python",
            "venv/bin/python -m grpc_tools.protoc -I . --python_out=. --grpc_python_out=. greeter.proto",
            "venv/bin/python greeter.py --plugind-info",
        ),
        ("tests/e2e/test_python_sdk.py", "def test_the_readmes_commands_work("),
    ),
    **dict.fromkeys(
        (
            "npm init -y",
            "npm install --install-links PATH/TO/plugind/sdk/node",
            "node greeter.js --plugind-info",
        ),
        ("tests/e2e/test_node_sdk.py", "def test_the_readmes_commands_work("),
    ),
    **dict.fromkeys(
        (
            "go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.11",
            "go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2",
            "go mod init example.org/greeter",
            "go mod edit -replace github.com/plugind/plugind/sdk/go=PATH/TO/plugind/sdk/go",
            "protoc --go_out=. --go_opt=module=example.org/greeter --go-grpc_out=. --go-grpc_opt=module=example.org/greeter greeter.proto",
            "go mod tidy",
            "go test ./...",
            "go build -o greeter",
            "./greeter --plugind-info",
        ),
        ("tests/e2e/test_go_sdk.py", "def test_the_readmes_commands_work("),
    ),
    "pluginctl plugin test ./greeter": (
        "tests/e2e/test_plugin_test.py",
        'rules_of(PLUGINS / "greeter", code=0)',
    ),
    "tests/bench/run.sh record": ("tests/bench/CMakeLists.txt", "add_test(NAME bench_record"),
    "tests/bench/run.sh lifecycle": ("tests/bench/CMakeLists.txt", "add_test(NAME bench_smoke"),
    "tests/bench/run.sh lifecycle --samples 300 --sizes 1,500 --json results.json": (
        "tests/e2e/test_docs.py",
        "def test_the_benchmark_has_the_options_that_its_page_names(",
    ),
    "tests/bench/run.sh lifecycle --quick": (
        "tests/bench/CMakeLists.txt",
        "add_test(NAME bench_smoke",
    ),
    "tests/bench/run.sh calls": (
        "tests/bench/calls/CMakeLists.txt",
        "add_test(NAME bench_calls_smoke",
    ),
    'tests/bench/run.sh calls --samples 40 --modes unary --sizes 16,65536 --systems "direct,plugind,HAProxy" --json calls.json': (
        "tests/e2e/test_docs.py",
        "def test_the_benchmark_has_the_options_that_its_page_names(",
    ),
    "tests/bench/run.sh calls --quick": (
        "tests/bench/calls/CMakeLists.txt",
        "add_test(NAME bench_calls_smoke",
    ),
}

# What a comment says of an exit code holds when something is wrong, which it is not in the walk through the page: there they end with
# 0. Each has a test below that makes it wrong.
EXIT_CODES = {
    "pluginctl status --check": (3, "def test_status_check_ends_with_3_when_"),
    'plugind --check-config --config "$CONFIG"': (78, "def test_check_config_ends_with_78_when_"),
}

HERE = Path(__file__).read_text()


def test_what_is_run_elsewhere_is_run_there() -> None:
    everywhere = {uncommented(line) for page in PAGES for line in commands(page)}
    for command, (file, words) in ELSEWHERE.items():
        assert command in everywhere, f"no page has {command!r} any more"
        assert words in (SOURCE / file).read_text(), f"{file} does not run {command!r}"


def test_a_page_that_is_walked_through_elsewhere_is_read_there() -> None:
    for page, test in WALKED.items():
        assert f'SOURCE / {" / ".join(map(json.dumps, page.split("/")))}' in (SOURCE / test).read_text()


def test_every_exit_code_in_a_comment_is_shown_to_be_so() -> None:
    promised = {
        uncommented(line): int(code[1])
        for page in PAGES
        for line in commands(page)
        if (code := re.search(r"#.*\bexit (\d+)", line))
    }
    assert promised == {command: code for command, (code, _) in EXIT_CODES.items()}
    assert all(test in HERE for _, test in EXIT_CODES.values())


def environment(daemon: Daemon) -> dict[str, str]:
    """What the pages take for given."""
    variable, _, value = daemon.marker.partition("=")
    return {
        **{k: v for k, v in os.environ.items() if k not in ("NOTIFY_SOCKET", "PLUGIND_SOCKET")},
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PLUGIND_SOCKET": str(daemon.socket),
        "PREFIX": str(daemon.root / "prefix"),
        "CONFIG": str(daemon.config),
        "RUNTIME": str(daemon.runtime),
        "STATE": str(daemon.state),
        variable: value,
    }


def add_examples(daemon: Daemon) -> list[str]:
    add_greeter(daemon)
    add_wordcount(daemon)
    if (PLUGINS / "kv").exists():
        add_kv(daemon)
        return ["greeter", "wordcount", "kv"]
    return ["greeter", "wordcount"]


def walk(lines: list[str], out: Path, plugins: list[str]) -> str:
    """The lines as one script. What each prints on stdout is kept in a file of its own."""
    # A person would look before going on; so does this, after what is put into the background.
    wait_up = [
        "until pluginctl info >/dev/null 2>&1; do kill -0 $!; sleep 0.05; done",
        *(f"pluginctl wait {plugin} --for READY --timeout 60s" for plugin in plugins),
    ]
    end = 'if [[ -n $daemon ]]; then kill "$daemon"; wait "$daemon"; daemon=; fi'
    script = ["set -eu -o pipefail", "daemon=", f"trap {shell_quoted(end)} EXIT"]
    for number, line in enumerate(lines):
        script += [f"printf '\\n$ %s\\n' {shell_quoted(line)} >&2"]
        if uncommented(line).endswith("&"):
            script += [uncommented(line), "daemon=$!", *wait_up]
        else:
            script += [f"{{ {line}", f"}} >{out / str(number)}"]
    return "\n".join([*script, end]) + "\n"


def shell_quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def check_json(line: str, output: str) -> None:
    """By the comment: "protobuf JSON of MESSAGE", or "one MESSAGE a line"."""
    comment = re.search(r"#\s*(one )?(?:protobuf JSON of )?(\w+)( a line)?$", line)
    assert comment, f"what is the output of {line!r}?"
    message = getattr(control_pb2, comment[2])
    documents = output.splitlines() if comment[1] else [output]
    assert documents
    for document in documents:
        json_format.Parse(document, message())


@pytest.mark.parametrize("page", [p for p in PAGES if commands(p)], ids=name_of)
def test_every_command_of_a_page_works(
    page: Path, make_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    lines = [line for line in commands(page) if uncommented(line) not in ELSEWHERE]
    strange = [line for line in lines if not re.match("(plugind|pluginctl) ", line)]
    assert not strange, f"say in ELSEWHERE which test runs these: {strange}"
    if not lines:
        return  # all of it is run elsewhere, as the table says
    daemon = make_daemon()
    plugins = add_examples(daemon)
    if not any(re.match(r"plugind .*&$", uncommented(line)) for line in lines):
        daemon.start().wait_ready(*plugins)
    script = walk(lines, tmp_path, plugins)
    done = subprocess.run(
        ["bash", "-c", script],
        env=environment(daemon),
        cwd=SOURCE,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120 * SLOWNESS,
    )
    assert done.returncode == 0, f"the last line shown failed:\n{done.stderr}"
    for number, line in enumerate(lines):
        if "-o json" in line:
            check_json(line, (tmp_path / str(number)).read_text())


def test_status_check_ends_with_3_when_one_is_not_ready(daemon: Daemon) -> None:
    add_greeter(daemon)
    daemon.plugin("broken", ["/nonexistent"])
    daemon.start().wait_ready("greeter")
    daemon.wait_state("broken", "FAILED")
    assert "broken (FAILED)" in daemon.ctl("status", "--check", code=3).stderr
    daemon.ctl("stop", "broken")
    daemon.ctl("status", "--check")


def test_check_config_ends_with_78_when_there_is_an_error(daemon: Daemon) -> None:
    (daemon.plugins_dir / "bad.toml").write_text("comand = []\n")
    checked = subprocess.run(
        [BIN / "plugind", "--check-config", "--config", daemon.config],
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 78 and "bad.toml:1:1: " in checked.stderr


def test_the_presets_and_test_names_of_the_pages_exist() -> None:
    presets = json.loads((SOURCE / "CMakePresets.json").read_text())
    for page in PAGES:
        for line in commands(page):
            for kind, name in re.findall(r"(cmake --build|cmake|ctest) --preset (\w+)", line):
                key = {"cmake": "configurePresets", "ctest": "testPresets"}.get(kind, "buildPresets")
                assert name in [preset["name"] for preset in presets[key]], line
            if chosen := re.search(r"^ctest .*-R (\w+)", line):
                tests = "".join(p.read_text() for p in (SOURCE / "daemon").glob("*/CMakeLists.txt"))
                assert re.search(rf"plugind_test\(\w*{chosen[1]}", tests), line
            if "-m pytest" in line:
                collected = subprocess.run(
                    [*uncommented(line).split()[1:], "--collect-only", "-q"],
                    env={**os.environ, "PLUGIND_BUILD": str(BUILD)},
                    cwd=SOURCE,
                    capture_output=True,
                    text=True,
                )
                assert collected.returncode == 0, collected.stdout + collected.stderr


@pytest.mark.parametrize(
    ("page", "package"), [("README.md", "lifecycle"), ("calls/README.md", "calls")]
)
def test_the_benchmark_has_the_options_that_its_page_names(page: str, package: str) -> None:
    bench = SOURCE / "tests" / "bench"
    sources = "".join(p.read_text() for p in (bench / package).rglob("*.py"))
    script = (bench / "run.sh").read_text()
    for line in commands(bench / page):
        for option in re.findall(r"(?<= )--[a-z-]+", uncommented(line)):
            assert f'"{option}"' in sources or option in script, option


def test_every_verb_of_pluginctl_that_a_page_names_exists() -> None:
    usage = subprocess.run([BIN / "pluginctl", "--help"], capture_output=True, text=True).stdout
    verbs = set(re.findall(r"^  ([a-z]+) ", usage, re.M))
    assert {"status", "logs"} <= verbs
    for page in PAGES:
        text = page.read_text()
        in_code = re.findall(r"`pluginctl ([a-z]+)", text)
        in_blocks = re.findall(r"^pluginctl ([a-z]+)", text, re.M)
        assert set(in_code + in_blocks) <= verbs, name_of(page)


# ---- Configuration ----


@pytest.mark.parametrize(
    "block",
    [block for block in BLOCKS if block.language == "toml"],
    ids=lambda block: f"{name_of(block.page)}:{block.line}",
)
def test_every_piece_of_configuration_loads(block: Block, daemon: Daemon) -> None:
    named = re.match(r"# (plugind\.toml|plugins\.d/\w+\.toml)\b", block.text)
    assert named, "its first line says which file it is"
    (daemon.config.parent / named[1]).write_text(block.text)
    check_config(daemon)


def check_config(daemon: Daemon) -> None:
    checked = subprocess.run(
        [*daemon.command(), "--check-config"], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr


def show_config(daemon: Daemon, *options: str) -> str:
    shown = subprocess.run(
        [BIN / "pluginctl", "config", "show", "--config", daemon.config, *options],
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, shown.stderr
    return shown.stdout


def test_the_shipped_plugind_toml_has_every_key_with_its_default(daemon: Daemon) -> None:
    daemon.config.write_text("")
    defaults = show_config(daemon)
    assert 'log_level = "info"' in defaults
    daemon.config.write_text((SOURCE / "config" / "plugind.toml").read_text())
    assert show_config(daemon) == defaults
    assert "# default" not in show_config(daemon, "--origin"), "a key is not in the file"


def test_the_example_of_a_plugin_has_every_key_with_its_default(daemon: Daemon) -> None:
    example = (SOURCE / "config" / "plugin.example.toml").read_text()
    file = daemon.plugins_dir / "one.toml"
    file.write_text(next(line for line in example.splitlines() if line.startswith("command")))
    defaults = show_config(daemon)
    file.write_text(example)
    assert show_config(daemon) == defaults
    of_the_plugin = show_config(daemon, "--origin").partition("one.toml\n")[2]
    assert re.findall(r"^(\w+) = .*# default$", of_the_plugin, re.M) == ["name"]


def test_what_the_example_of_a_plugin_has_in_comments_loads_too(
    needs_root: None, daemon: Daemon
) -> None:
    example = (SOURCE / "config" / "plugin.example.toml").read_text()
    whole = re.sub(r"^# (\w+ = |\[config\])", r"\1", example, flags=re.M)
    (daemon.plugins_dir / "one.toml").write_text(whole)
    schema = daemon.plugins_dir / re.search(r'^config_schema = "(.*?)"', whole, re.M).group(1)
    schema.write_text('{"properties": {"greeting": {"type": "string"}}}')
    check_config(daemon)
    reader = (SOURCE / "daemon" / "config" / "plugin_file.cc").read_text()
    known = set(re.findall(r'\bRead(?:Word|Size)?\("(\w+)"|\bFind\("(\w+)"', reader))
    keys = {key for pair in known for key in pair if key} | set(re.findall(r'\bIn\("(\w+)"', reader))
    missing = {key for key in keys if not re.search(rf"^\[?{key}\b", whole, re.M)}
    assert len(keys) > 30 and not missing


# ---- Snippets of code ----


def test_the_python_of_the_readme_is_a_plugin(daemon: Daemon) -> None:
    program = daemon.root / "plugin.py"
    program.write_text(
        "#!/usr/bin/python3\n"
        "import os, sys\n"
        f"sys.path.insert(0, {str(PLUGINS / 'wordcount')!r})\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "import grpc\n"
        "from health_pb2_grpc import add_HealthServicer_to_server\n"
        "from wordcount_pb2_grpc import add_WordCountServicer_to_server\n"
        "from wordcount import Health, WordCount\n" + snippet("README.md", "python")
    )
    program.chmod(0o755)
    daemon.plugin("wordcount", [program], env={"PYTHONDONTWRITEBYTECODE": "1"})
    daemon.start().wait_ready("wordcount")
    call_wordcount(daemon)


def test_the_node_of_the_readme_is_a_plugin(daemon: Daemon) -> None:
    modules = parity_plugin("node").parent / "node_modules"
    folder = daemon.root / "greeter"
    folder.mkdir()
    (folder / "node_modules").symlink_to(modules)
    (folder / "greeter.proto").write_text(snippet("sdk/node/README.md", "proto"))
    (folder / "greeter.js").write_text(snippet("README.md", "js"))
    daemon.plugin("greeter", [shutil.which("node"), folder / "greeter.js"])
    daemon.start().wait_ready("greeter")
    answer = daemon.ctl("call", "greeter/greeter.v1.Greeter/Greet", "-d", '{"name": "Ada"}')
    assert json.loads(answer.stdout) == {"message": "Hello Ada"}


def test_what_the_readme_shows_of_an_sdk_is_on_its_page() -> None:
    readme = (SOURCE / "README.md").read_text()
    shown = re.findall(r"with the \[SDK\]\((.*?)\):\n\n```\w+\n(.*?)```", readme, re.S)
    assert [page for page, _ in shown] == [
        f"sdk/{language}/README.md" for language in ("cpp", "python", "go", "node")
    ]
    for page, code in shown:
        text = (SOURCE / page).read_text()
        lines = {line.strip() for line in text.splitlines()}
        if page.startswith("sdk/node"):
            continue  # run as it stands, above
        missing = [line for line in code.splitlines() if line.strip() not in lines]
        assert not missing, (page, missing)


@pytest.mark.parametrize(
    "language, program",
    [("rust", "floor-rust/src/main.rs"), ("java", "floor-java/src/main/java/clock/Main.java")],
)
def test_the_rust_and_java_of_the_readme_are_in_the_examples(language: str, program: str) -> None:
    lines = [line.strip() for line in snippet("README.md", language).splitlines()]
    rest = iter([line.strip() for line in (SOURCE / "plugins" / program).read_text().splitlines()])
    for line in lines:
        assert line in rest, f"{line!r} is not in plugins/{program}, or in another order"


def test_the_go_of_the_readme_is_a_plugin(daemon: Daemon) -> None:
    need_go_plugin()
    main = SOURCE / "plugins" / "kv" / "main.go"
    serve = re.compile(r"^\tplugin\.Serve\(.*?^\t\}\)\n", re.M | re.S)
    changed, found = serve.subn(lambda _: snippet("README.md", "go"), main.read_text())
    assert found == 1
    (daemon.root / "main.go").write_text(changed)
    overlay = daemon.root / "overlay.json"
    overlay.write_text(json.dumps({"Replace": {str(main): str(daemon.root / "main.go")}}))
    subprocess.run(
        ["go", "build", "-overlay", overlay, "-buildvcs=false", "-o", daemon.root / "kv"],
        cwd=main.parent,
        env={**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"},
        check=True,
        timeout=300 * SLOWNESS,
    )
    cookie = {"key": "BASIC_PLUGIN", "value": "hello"}
    daemon.plugin("kv", [daemon.root / "kv"], magic_cookie=cookie)
    daemon.start().wait_ready("kv")
    call_kv(daemon)


# Against a library with sanitizers, an author's project would need them too.
if not SANITIZED:

    def test_the_cpp_and_cmake_of_the_pages_make_a_plugin(daemon: Daemon, tmp_path: Path) -> None:
        """As an author outside of this tree would: with the installed SDK, by CMake and by pkg-config."""
        page = "sdk/cpp/README.md"
        assert snippet("README.md", "cpp") == snippet(page, "cpp")
        if not (BUILD / "cmake_install.cmake").exists():
            skip(f"{BUILD} is no build tree that can be installed")
        prefix, project = tmp_path / "prefix", tmp_path / "project"
        run = {"check": True, "capture_output": True, "timeout": 600 * SLOWNESS}
        subprocess.run(
            ["cmake", "--install", BUILD, "--component", "sdk", "--prefix", prefix], **run
        )
        project.mkdir()
        (project / "main.cc").write_text(snippet(page, "cpp"))
        shutil.copy(SOURCE / "plugins" / "greeter" / "greeter.proto", project)
        generator = shutil.which("grpc_cpp_plugin")
        subprocess.run(
            ["protoc", "--cpp_out=.", "--grpc_out=.", f"--plugin=protoc-gen-grpc={generator}"]
            + ["greeter.proto"],
            cwd=project,
            **run,
        )
        (project / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.25)\nproject(author CXX)\n" + snippet(page, "cmake")
        )
        build = project / "build"
        subprocess.run(
            ["cmake", "-G", "Ninja", "-S", project, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}"],
            **run,
        )
        subprocess.run(["cmake", "--build", build], **run)
        flags = subprocess.run(
            ["pkg-config", "--cflags", "--libs", "plugind-sdk"],
            env={**os.environ, "PKG_CONFIG_PATH": str(next(prefix.rglob("pkgconfig")))},
            text=True,
            **run,
        ).stdout.split()
        objects = sorted(build.rglob("*.o"))
        assert len(objects) == 3
        # Compiled once: what pkg-config says of compiling must only be enough for the header.
        header = ["-fsyntax-only", "-std=c++17", "-x", "c++", "-include", "plugind/plugin.h"]
        subprocess.run(["c++", *header, "/dev/null", *flags], **run)
        subprocess.run(["c++", "-o", build / "by-pkg-config", *objects, *flags], **run)
        for name in ("greeter", "by-pkg-config"):
            daemon.plugin(name, [build / name])
        daemon.start().wait_ready("greeter", "by-pkg-config")


# ---- Links and lists ----


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_within_the_sources_leads_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if "://" not in target:
            assert (page.parent / target.partition("#")[0]).exists(), f"{target} is missing"


def test_the_page_for_plugin_authors_names_every_variable_that_a_plugin_finds(
    daemon: Daemon,
) -> None:
    page = (SOURCE / "sdk" / "README.md").read_text()
    daemon.plugin("wordcount", [PLUGINS / "wordcount" / "wordcount.py"])
    pid = daemon.start().wait_ready("wordcount")["wordcount"].pid
    entries = Path(f"/proc/{pid}/environ").read_text().split("\0")
    names = {entry.partition("=")[0] for entry in entries if entry} - {
        daemon.marker.partition("=")[0]
    }
    assert "PLUGIND_NAME" in names
    assert {name for name in names if f"`{name}`" not in page} == set()


def test_a_failed_plugin_is_tried_again_as_the_operators_page_says(daemon: Daemon) -> None:
    page = (SOURCE / "deploy" / "README.md").read_text()
    assert "then `pluginctl reload` if its file has changed, else `pluginctl start NAME`" in page
    program = daemon.root / "program"
    daemon.plugin("one", [program])
    daemon.start()
    daemon.wait_state("one", "FAILED")
    # Its file has changed.
    daemon.plugin("one", [PLUGINS / "greeter"])
    daemon.ctl("reload")
    daemon.wait_ready("one")
    # Something else has.
    daemon.plugin("one", [program])
    daemon.ctl("reload", code=1)
    daemon.wait_state("one", "FAILED")
    program.symlink_to(PLUGINS / "greeter")
    daemon.ctl("start", "one")
    assert daemon.status()["one"]["state"] == "READY"


def test_the_operators_page_explains_states_that_exist() -> None:
    page = (SOURCE / "deploy" / "README.md").read_text()
    table = page.partition("| State | Meaning |")[2].partition("\n\n")[0]
    explained = set(re.findall(r"^\| ([A-Z]+)", table, re.M))
    states = set(control_pb2.Plugin.State.keys()) - {"STATE_UNSPECIFIED"}
    assert explained == states


def test_folders_of_the_daemon_include_only_what_its_page_allows() -> None:
    page = (SOURCE / "daemon" / "README.md").read_text()
    rows = re.findall(r"^\| \[(\w+)\]\(\w+\) \|.*\| ([a-z, ]*)\|$", page, re.M)
    allowed = {folder: set(re.findall(r"\w+", names)) for folder, names in rows}
    folders = {p.parent.name for p in (SOURCE / "daemon").glob("*/CMakeLists.txt")}
    assert set(allowed) == folders
    for folder in folders:
        for file in (SOURCE / "daemon" / folder).rglob("*"):
            if file.suffix in (".h", ".cc"):
                included = set(re.findall(r'^#include "daemon/(\w+)/', file.read_text(), re.M))
                extra = included - allowed[folder] - {folder}
                assert not extra, f"{file} includes {extra}"
