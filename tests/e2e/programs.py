"""Where the programs under test are run from: the build tree, or a copy of them where that tree is closed to other users.

A clone under /root, say, is: nobody but root may pass through it, and the tests that run plugind as somebody else would
test that and nothing more.
"""

from __future__ import annotations

import atexit
import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

# COPY:BUILD, from the process that made the copy to its pytest-xdist workers.
COPY = "PLUGIND_E2E_COPY"

# Those of BUILD/tests that plugind starts.
PLUGINS_UNDER_TEST = ("fault_plugin", "ledger_plugin")

READ_AND_EXECUTE = stat.S_IROTH | stat.S_IXOTH


def open_to_others(build: Path) -> bool:
    passable = all(folder.stat().st_mode & stat.S_IXOTH for folder in (build, *build.parents))
    files = (build / "bin", build / "bin" / "plugind")
    return passable and all(
        file.stat().st_mode & READ_AND_EXECUTE == READ_AND_EXECUTE for file in files
    )


def reachable(build: Path) -> Path:
    """A folder with the bin/ and tests/ of `build` in it. The copy, if there is one, goes with the process that made it."""
    copy, _, of = os.environ.get(COPY, "").partition(":")
    if of == str(build):
        return Path(copy)
    # Without root nobody can become somebody else. A tree that is not built is for the caller to complain about.
    if os.geteuid() != 0 or not (build / "bin" / "plugind").exists() or open_to_others(build):
        return build
    made = Path(tempfile.mkdtemp(prefix="pd-programs-"))
    atexit.register(shutil.rmtree, made)
    shutil.copytree(build / "bin", made / "bin")
    (made / "tests").mkdir()
    for program in PLUGINS_UNDER_TEST:
        shutil.copy(build / "tests" / program, made / "tests")
    subprocess.run(["chmod", "-R", "a+rX", made], check=True)
    os.environ[COPY] = f"{made}:{build}"
    return made
