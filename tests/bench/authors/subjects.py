"""The hello plugins: one of each language with our SDK, and one with the floor by hand."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

HELLO = Path(__file__).parent / "hello"
SDK = Path(__file__).parents[3] / "sdk"
LANGUAGES = ("cpp", "python", "go", "node")
VARIANTS = ("sdk", "plain")


class Absent(Exception):
    """It cannot run here; the text says why."""


@dataclass
class Subject:
    language: str
    variant: str
    command: list[str]
    env: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.language}-{self.variant}"


def run(command: list[str], cwd: Path, **env: str) -> None:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, timeout=600
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")


def cpp(build: Path, _: Path) -> list[Subject]:
    programs = {variant: build / "bin" / f"bench_hello_{variant}" for variant in VARIANTS}
    for program in programs.values():
        if not program.exists():
            raise Absent(f"{program.name} has not been built")
    return [Subject("cpp", variant, [str(path)]) for variant, path in programs.items()]


def python(_: Path, out: Path) -> list[Subject]:
    """Both on Debian's grpcio, byte code compiled, as an installed program has it."""
    package = out / "python"
    shutil.copytree(SDK / "python" / "src", package, dirs_exist_ok=True)
    shutil.copytree(HELLO / "python", package, dirs_exist_ok=True)
    run(["/usr/bin/python3", "-m", "compileall", "-q", str(package)], package)
    env = {"PYTHONPATH": str(package)}
    names = {"sdk": "with_sdk.py", "plain": "plain.py"}
    return [
        Subject("python", variant, ["/usr/bin/python3", str(package / names[variant])], env)
        for variant in VARIANTS
    ]


def go(_: Path, out: Path) -> list[Subject]:
    if shutil.which("go") is None:
        raise Absent("no go on the PATH")
    folders = {"sdk": "withsdk", "plain": "plain"}
    for variant, folder in folders.items():
        command = ["go", "build", "-trimpath", "-buildvcs=false", "-o", str(out / f"go-{variant}")]
        run([*command, f"./{folder}"], HELLO / "go", GOTOOLCHAIN="local", CGO_ENABLED="0")
    return [Subject("go", variant, [str(out / f"go-{variant}")]) for variant in VARIANTS]


def node(_: Path, out: Path) -> list[Subject]:
    program = shutil.which("node")
    if program is None or shutil.which("npm") is None:
        raise Absent("no node and npm on the PATH")
    folder = out / "node"
    shutil.copytree(HELLO / "node", folder, dirs_exist_ok=True)
    package = folder / "node_modules" / "plugind"
    left_out = shutil.ignore_patterns("node_modules", "test")
    shutil.copytree(SDK / "node", package, dirs_exist_ok=True, ignore=left_out)
    # Where the SDK finds them and the plain program too.
    run(["npm", "ci", "--omit=dev", "--silent"], package)
    for scope in (package / "node_modules").iterdir():
        target = folder / "node_modules" / scope.name
        if not scope.name.startswith(".") and not target.exists():
            target.symlink_to(scope)
    names = {"sdk": "with_sdk.js", "plain": "plain.js"}
    return [
        Subject("node", variant, [program, str(folder / names[variant])]) for variant in VARIANTS
    ]


MAKERS = {"cpp": cpp, "python": python, "go": go, "node": node}
