"""gRPC stubs for every .proto that the tests speak, generated into the build tree once a session."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

from settings import BUILD, SOURCE

GRPC_PROTOS = Path("/usr/share/grpc-proto/grpc")


def protos() -> dict[Path, list[str]]:
    """Each file by the folder that its imports start from."""
    # gRPC's own are taken from one folder further down: a generated package `grpc` would hide the real one.
    roots = {
        SOURCE
        / "proto": [
            "plugind/control/v1/control.proto",
            "plugind/host/v1/host.proto",
            "plugind/plugin/v1/plugin.proto",
            "plugin/go_plugin.proto",
            "google/rpc/status.proto",
            "google/rpc/error_details.proto",
        ],
        SOURCE / "sdk" / "parity": ["parity.proto"],
        GRPC_PROTOS: ["health/v1/health.proto", "reflection/v1alpha/reflection.proto"],
    }
    for proto in sorted((SOURCE / "plugins").glob("*/**/*.proto")):
        roots.setdefault(proto.parent, []).append(proto.name)
    return roots


def generate() -> None:
    """Puts the generated modules on sys.path."""
    out = BUILD / "tests" / "stubs"
    out.mkdir(parents=True, exist_ok=True)
    stamp = out / "stamp"
    files = [root / file for root, names in protos().items() for file in names]
    newest = max(file.stat().st_mtime for file in [*files, Path(__file__)])
    # Several pytest processes share the build tree.
    with open(out / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.stat().st_mtime < newest:
            for root, files in protos().items():
                subprocess.run(
                    [
                        "protoc",
                        f"-I{root}",
                        f"--python_out={out}",
                        f"--grpc_python_out={out}",
                        "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin",
                        *files,
                    ],
                    check=True,
                )
            stamp.touch()
    sys.path.insert(0, str(out))
