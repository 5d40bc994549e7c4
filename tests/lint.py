#!/usr/bin/env python3
"""clang-tidy over what the preset clang leaves out, without building it: tests/lint.py BUILD [FOLDER ...]

BUILD is a build tree of another preset: its compile_commands.json has the flags, and what is generated lies there. Most of
clang-tidy's time goes into the headers of gRPC and Protobuf, so the sources of a library go through it as one, which is
six times as fast as one by one. What two of them define for themselves under one name gets another in the second; sources
that do not go together even then go through it again, among themselves. Exit 1 if there was anything to say.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
FOLDERS = (
    "daemon/control",
    "daemon/plugind",
    "daemon/pluginctl",
    "daemon/rpc",
    "plugins/greeter",
    "sdk/cpp/src",
    "sdk/parity/cpp",
)
# The units include sources, which says nothing about these. What the compiler warns of is the compiler's business.
# The last two take an eighth of the time and have never found anything.
CHECKS = (
    "-bugprone-suspicious-include,-clang-diagnostic-*"
    ",-bugprone-reserved-identifier,-bugprone-stringview-nullptr"
)
OURS = rf"{re.escape(str(SOURCE))}/(daemon|sdk|plugins)/.*\.(h|cc)$"
MOST = 26  # sources at a time: about 700 MiB
OWN_NAME = re.compile(
    r"^(?:(?:constexpr|const) [^=({;]*?\b(k[A-Z]\w*)|(?:class|struct) (\w+) (?:final|:|\{))", re.M
)
FINDING = re.compile(r"^(?P<file>/\S+?):\d+:\d+: (?P<kind>warning|error): ", re.M)

Unit = tuple[str, tuple[str, ...], tuple[str, ...]]  # folder, flags, sources


def units(build: Path, folders: list[str]) -> list[Unit]:
    """The sources of each library, in parts."""
    libraries: dict[tuple[str, tuple[str, ...]], dict[str, None]] = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        file = entry["file"]
        inside = os.path.relpath(file, SOURCE)
        is_test = inside.endswith("_test.cc") or "/testing/" in inside
        if is_test or not inside.startswith(tuple(folders)):
            continue
        command = re.sub(r" -Winvalid-pch -include \S+", "", entry["command"])  # GCC's own
        flags = shlex.split(command)[1:]
        at = flags.index("-o")
        del flags[at : at + 2]
        flags = [flag for flag in flags if flag not in ("-c", file, "-Werror")]
        libraries.setdefault((entry["directory"], tuple(flags)), {})[file] = None
    # What a test compiles once more was seen in its library.
    seen: set[str] = set()
    parts = []
    for (folder, flags), files in sorted(libraries.items(), key=lambda item: -len(item[1])):
        fresh = [file for file in files if file not in seen]
        seen.update(fresh)
        count = -(-len(fresh) // MOST)
        parts += [(folder, flags, tuple(fresh[each::count])) for each in range(count)]
    return parts


def together(files: tuple[str, ...]) -> str:
    """The text of a unit of these sources."""
    taken: set[str] = set()
    text = ""
    for number, file in enumerate(files):
        own = {const or kind for const, kind in OWN_NAME.findall(Path(file).read_text())}
        again = sorted(own & taken)
        taken |= own
        text += "".join(f"#define {name} {name}_{number}\n" for name in again)
        text += f'#include "{file}"\n' + "".join(f"#undef {name}\n" for name in again)
    return text


def findings(unit: Unit) -> list[str]:
    folder, flags, files = unit
    with tempfile.NamedTemporaryFile("w", suffix=".cc") as source:
        source.write(together(files))
        source.flush()
        name = files[0] if len(files) == 1 else source.name
        command = ["clang-tidy", "--quiet", f"--config-file={SOURCE}/.clang-tidy"]
        command += [f"--checks={CHECKS}", f"--header-filter={OURS}", name, "--", *flags]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    starts = [match.start() for match in FINDING.finditer(done.stdout)]
    said = [done.stdout[a:b] for a, b in zip(starts, [*starts[1:], None])]
    if done.returncode and not said:
        said = [f"{name}: error: {done.stderr}"]
    errors = [text for text in said if ": error: " in text.partition("\n")[0]]
    if not errors or len(files) == 1:
        return said
    # They do not go together; what was said of the others stands.
    apart = tuple(file for file in files if any(text.startswith(f"{file}:") for text in errors))
    if apart and len(apart) < len(files):
        kept = [text for text in said if text not in errors and not text.startswith(apart)]
        return kept + findings((folder, flags, apart))
    middle = len(files) // 2
    return findings((folder, flags, files[:middle])) + findings((folder, flags, files[middle:]))


def main() -> int:
    build, *folders = sys.argv[1:]
    parts = units(Path(build).resolve(), folders or list(FOLDERS))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        said = dict.fromkeys(text for texts in pool.map(findings, parts) for text in texts)
    print("".join(said), end="")
    print(f"{sum(len(files) for _, _, files in parts)} sources, {len(said)} findings")
    return 1 if said or not parts else 0


if __name__ == "__main__":
    sys.exit(main())
