"""The page of the Go SDK, walked through by an author outside of this tree."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from daemon import Daemon
from go_programs import go_version
from requirements import skip
from settings import SLOWNESS, SOURCE

PAGE = SOURCE / "sdk" / "go" / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.M | re.S)


def test_the_readmes_commands_work(daemon: Daemon, tmp_path: Path) -> None:
    if go_version() < (1, 24):
        skip("no Go 1.24 or later is on the PATH")
    _, main, test = blocks("go")
    (proto,) = blocks("proto")
    (commands,) = blocks("sh")
    project, tools = tmp_path / "greeter", tmp_path / "bin"
    project.mkdir()
    (project / "main.go").write_text(main)
    (project / "main_test.go").write_text(test)
    (project / "greeter.proto").write_text(proto)
    environment = {
        **os.environ,
        "GOBIN": str(tools),
        "PATH": f"{tools}:{os.environ['PATH']}",
        # As for the other Go programs here, so that gRPC is not compiled once more.
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
        "GOFLAGS": "-trimpath",
    }
    walked = subprocess.run(
        ["bash", "-euxc", commands.replace("PATH/TO/plugind", str(SOURCE))],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600 * SLOWNESS,
    )
    assert walked.returncode == 0, walked.stdout + walked.stderr
    info = json.loads(walked.stdout[walked.stdout.index("{") :])
    assert (info["name"], info["services"]) == ("greeter", ["greeter.v1.Greeter"])

    daemon.plugin("greeter", [project / "greeter"], config={"greeting": "Servus"})
    daemon.start().wait_ready("greeter")
    request = ["call", "greeter/greeter.v1.Greeter/Greet", "-d", '{"name": "Ada"}']
    assert json.loads(daemon.ctl(*request).stdout)["message"] == "Servus, Ada!"
    assert "greeted" in [entry.message for entry in daemon.logs("greeter")]
