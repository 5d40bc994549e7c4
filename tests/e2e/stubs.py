"""gRPC stubs for every .proto that the tests speak, generated into the build tree once a session."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from settings import BUILD, SOURCE

GRPC_PROTOS = Path("/usr/share/grpc-proto/grpc")


def generate() -> None:
    """Puts the generated modules on sys.path."""
    out = BUILD / "tests" / "stubs"
    out.mkdir(parents=True, exist_ok=True)
    # gRPC's own protos are taken from one folder further down: a generated package `grpc` would hide the real one.
    roots = {
        SOURCE / "proto": ["plugind/control/v1/control.proto", "google/rpc/status.proto",
                           "google/rpc/error_details.proto"],
        GRPC_PROTOS: ["health/v1/health.proto", "reflection/v1alpha/reflection.proto"],
    }
    for proto in sorted((SOURCE / "plugins").glob("*/**/*.proto")):
        roots.setdefault(proto.parent, []).append(proto.name)
    for root, files in roots.items():
        subprocess.run(
            ["protoc", f"-I{root}", f"--python_out={out}", f"--grpc_python_out={out}",
             "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin", *files],
            check=True)
    sys.path.insert(0, str(out))
