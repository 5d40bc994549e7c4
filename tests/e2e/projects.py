"""Projects that `pluginctl plugin new` makes, built and run as their author would: in a home and with a PATH of his own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from author_run import TOOLS
from go_programs import go_version
from requirements import skip
from settings import SANITIZED, SLOWNESS

# Packages come over the network, and compilers share the machine with other tests.
LONGEST = 600

# What is linked with an SDK that has a sanitizer in it needs the sanitizer as well, which no template knows.
LANGUAGES = ("go", "node", "python") if SANITIZED else ("cpp", "go", "node", "python")


def need_tools(language: str) -> None:
    missing = {
        "cpp": [tool for tool in ("cmake", "c++", "grpc_cpp_plugin") if not shutil.which(tool)],
        "python": [] if has_venv() else ["python3-venv"],
        "go": ["Go 1.24 or later"] if go_version() < (1, 24) else [],
        "node": [tool for tool in ("node", "npm") if not shutil.which(tool)],
    }[language]
    if missing:
        skip(f"a {language} project cannot be built: there is no {', '.join(missing)}")


def has_venv() -> bool:
    run = subprocess.run(["/usr/bin/python3", "-c", "import ensurepip"], capture_output=True)
    return run.returncode == 0


def user_environment(home: Path) -> dict[str, str]:
    """That of somebody who has plugind on his PATH and has never built anything here."""
    home.mkdir(exist_ok=True)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PLUGIND_", "PYTHON", "TMPDIR"))}
    real = Path(os.environ.get("HOME", "/nonexistent"))
    go = shutil.which("go")
    path = [str(TOOLS), *([str(Path(go).parent)] if go else []), "/usr/bin", "/bin"]
    if node := shutil.which("node"):
        path.append(str(Path(node).parent))
    environment = {**kept, "HOME": str(home), "PATH": ":".join(path), "TERM": "dumb"}
    # Where packages come from is the machine's business, and so is what was fetched or compiled before.
    for variable, file in {
        "PIP_CONFIG_FILE": ".config/pip/pip.conf",
        "npm_config_userconfig": ".npmrc",
        "npm_config_cache": ".npm",
        "GOENV": ".config/go/env",
        "GOMODCACHE": "go/pkg/mod",
        "GOCACHE": ".cache/go-build",
        "PIP_CACHE_DIR": ".cache/pip",
        "CCACHE_DIR": ".cache/ccache",
    }.items():
        if variable not in environment and (real / file).exists():
            environment[variable] = str(real / file)
    if shutil.which("ccache"):
        environment["CMAKE_CXX_COMPILER_LAUNCHER"] = "ccache"
    return environment


def shell(command: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=LONGEST * SLOWNESS,
    )
    assert done.returncode == 0, f"$ {command}\nended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def commands(page: str) -> list[str]:
    """The lines of its shell blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.M | re.S)
    return [line for block in blocks for line in block.splitlines() if line.strip()]
