"""The contract between plugind and plugins of other days: the .proto files against their released states (buf), and recorded
messages of an old and of a newer side against today's plugind and today's SDKs (tests/contract)."""

from __future__ import annotations

import fcntl
import filecmp
import functools
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import grpc
import pytest
from google.protobuf import json_format
from plugind.plugin.v1 import plugin_pb2

from daemon import Daemon
from direct_host import DirectHost, DirectPlugin
from parity_plugins import DIRECT, parity_plugin
from requirements import skip
from settings import BUILD, SLOWNESS, SOURCE
from test_contract import BUILT_IN, channel_to, pluginctl

CONTRACT = SOURCE / "tests" / "contract"
RELEASED = sorted((CONTRACT / "released").glob("*.binpb"))
FROZEN = CONTRACT / "frozen"
LOCKED = "package-lock.json"
# The strictest set: code that was generated from the old files compiles against the new ones too.
RULES = json.dumps({"version": "v2", "breaking": {"use": ["FILE"]}})
BROKEN = 100  # buf's exit code

sys.path.insert(0, str(FROZEN))

from message_set import fields_of, frozen_class, recorded  # noqa: E402

RECORDED = recorded()


# ---- The .proto files


@functools.cache
def buf() -> Path:
    """As tests/contract/package-lock.json pins it, put into the build tree when it is first asked for."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        skip("buf is not there: it comes by npm, and no node and npm are on the PATH")
    out = BUILD / "tests" / "contract"
    out.mkdir(parents=True, exist_ok=True)
    # The copy of the lock file comes last: it says that all went well.
    installed = out / "node_modules" / LOCKED
    with open(out / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (installed.exists() and filecmp.cmp(installed, CONTRACT / LOCKED, shallow=False)):
            for file in ("package.json", LOCKED, ".npmrc"):
                shutil.copy(CONTRACT / file, out)
            done = subprocess.run(
                ["npm", "ci"], cwd=out, capture_output=True, text=True, timeout=300
            )
            if done.returncode:
                pytest.fail(f"npm ci: {done.stderr}", pytrace=False)
            shutil.copy(CONTRACT / LOCKED, installed)
    return out / "node_modules" / ".bin" / "buf"


def breaks(protos: Path, baseline: Path) -> str:
    """What in `protos` breaks users of `baseline`; empty: nothing."""
    done = subprocess.run(
        [buf(), "breaking", ".", "--config", RULES, "--path", "plugind", "--against", baseline],
        cwd=protos,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode in (0, BROKEN), done.stderr
    assert (done.returncode == BROKEN) == bool(done.stdout), (done.returncode, done.stdout)
    return done.stdout


@pytest.mark.parametrize("baseline", RELEASED, ids=lambda path: path.stem)
def test_the_contract_does_not_break_users_of_a_release(baseline: Path) -> None:
    assert breaks(SOURCE / "proto", baseline) == ""


def test_the_contract_does_not_break_users_of_the_last_tag(tmp_path: Path) -> None:
    """As long as there is none, the released states are what there is."""
    described = subprocess.run(
        ["git", "-C", SOURCE, "describe", "--tags", "--abbrev=0"], capture_output=True, text=True
    )
    if described.returncode:
        assert RELEASED
        return
    archive = subprocess.run(
        ["git", "-C", SOURCE, "archive", described.stdout.strip(), "proto"],
        check=True,
        capture_output=True,
    ).stdout
    subprocess.run(["tar", "-x", "-C", tmp_path], input=archive, check=True)
    image = tmp_path / "tag.binpb"
    subprocess.run(
        [buf(), "build", ".", "--config", RULES, "--path", "plugind", "-o", image],
        cwd=tmp_path / "proto",
        check=True,
    )
    assert breaks(SOURCE / "proto", image) == ""


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("  string instance = 4;\n", "", 'field "4" with name "instance"'),
        ("  string plugin = 3;", "  string plugin = 30;", 'field "3" with name "plugin"'),
        ("  uint32 protocol_version = 5;", "  string protocol_version = 5;", "changed type"),
        ("  repeated string services = 3;", "  string services = 3;", "cardinality"),
        ("  string language = 1;", "  string tongue = 1;", 'from "language" to "tongue"'),
        ("rpc Drain(DrainRequest) returns (DrainResponse);", "", '"Drain"'),
        (
            "rpc Configure(ConfigureRequest) returns",
            "rpc Configure(stream ConfigureRequest) returns",
            "streaming",
        ),
    ],
    ids=["removed", "number", "type", "cardinality", "name", "method", "streaming"],
)
def test_the_check_sees_what_would_break_the_contract(
    tmp_path: Path, before: str, after: str, complaint: str
) -> None:
    shutil.copytree(SOURCE / "proto", tmp_path / "proto")
    file = tmp_path / "proto/plugind/plugin/v1/plugin.proto"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))
    assert complaint in breaks(tmp_path / "proto", RELEASED[-1])


def test_the_check_lets_the_contract_grow(tmp_path: Path) -> None:
    shutil.copytree(SOURCE / "proto", tmp_path / "proto")
    file = tmp_path / "proto/plugind/plugin/v1/plugin.proto"
    text = file.read_text().replace("message DrainResponse {}", "message DrainResponse { bool x = 1; }")
    text = text.replace(
        "service Plugin {", "service Plugin {\n  rpc Hibernate(DrainRequest) returns (DrainResponse);"
    )
    file.write_text(text)
    assert breaks(tmp_path / "proto", RELEASED[-1]) == ""


# ---- Recorded messages


@pytest.mark.parametrize("name", RECORDED)
def test_todays_messages_read_what_another_day_wrote(name: str) -> None:
    kept = RECORDED[name]
    message = getattr(plugin_pb2, kept["type"]).FromString(bytes.fromhex(kept["hex"]))
    assert json_format.MessageToDict(message) == kept["fields"]


@pytest.mark.parametrize("name", RECORDED)
def test_another_day_reads_what_todays_messages_write(name: str) -> None:
    kept = RECORDED[name]
    today = json_format.ParseDict(kept["fields"], getattr(plugin_pb2, kept["type"])())
    then = frozen_class(kept["type"]).FromString(today.SerializeToString())
    assert fields_of(then) == kept["fields"]


# ---- A plugin of another day under today's plugind


@pytest.mark.parametrize("side", ["old", "new"])
def test_a_plugin_of_another_day_runs_under_this_plugind(daemon: Daemon, side: str) -> None:
    def write(config: dict[str, Any]) -> None:
        daemon.plugin("frozen", [sys.executable, "-B", FROZEN / "frozen_plugin.py", side], config=config)

    def seen() -> dict[str, Any]:
        with channel_to(daemon, "frozen") as channel:
            answer = channel.unary_unary("/frozen.v1.Frozen/Seen", None, None)
            return json.loads(answer(b"", timeout=20 * SLOWNESS, wait_for_ready=True))

    write({"greeting": "hello", "max": 3})
    plugin = daemon.start().wait_ready("frozen")["frozen"]
    assert plugin.plugin_version == "1.2.3"
    assert list(plugin.services) == ["frozen.v1.Frozen"]
    # What only the other side has heard of is not agreed, and harms nobody.
    assert dict(plugin.capabilities) == {name: "1.0" for name in BUILT_IN}

    asked = seen()
    (negotiate,) = asked["Negotiate"]
    assert negotiate["host"] == "plugind" and negotiate["plugin"] == "frozen"
    assert negotiate["instance"] == plugin.instance
    assert (negotiate["protocolVersion"], negotiate["offeredProtocolVersions"]) == (1, [1])
    assert {one["name"] for one in negotiate["capabilities"]} >= set(BUILT_IN)
    (configure,) = asked["Configure"]
    assert configure["settings"] == {"greeting": "hello", "max": 3.0}
    assert configure["capabilities"] == {name: "1.0" for name in BUILT_IN}

    write({"greeting": "hello again"})
    assert pluginctl(daemon, "reload").returncode == 0
    assert seen()["Configure"][-1]["settings"] == {"greeting": "hello again"}
    write({"refuse": True})
    refused = pluginctl(daemon, "reload")
    assert refused.returncode == 1 and "limits.max: is too much" in refused.stderr
    write({"greeting": 3})
    refused = pluginctl(daemon, "reload")
    assert "config.greeting: must be a string, not 3" in refused.stderr

    after = daemon.get("frozen")
    assert after.pid == plugin.pid
    daemon.change("Stop", "frozen")
    stopped = daemon.wait_state("frozen", "STOPPED")
    assert (stopped.last_exit.code, stopped.last_exit.signal) == (0, 0)


# ---- A host of another day with plugins of today's SDKs


@pytest.fixture(params=DIRECT)
def host(request: pytest.FixtureRequest) -> Iterator[DirectHost]:
    host = DirectHost(parity_plugin(request.param))
    yield host
    host.close()


def call(plugin: DirectPlugin, method: str, name: str) -> dict[str, Any]:
    """Sends recorded bytes; what comes back is read with the descriptors of 0.1."""
    answer = plugin.channel.unary_unary(f"/plugind.plugin.v1.Plugin/{method}", None, None)(
        bytes.fromhex(RECORDED[name]["hex"]), timeout=20 * SLOWNESS, wait_for_ready=True
    )
    return fields_of(frozen_class(f"{method}Response").FromString(answer))


@pytest.mark.parametrize("side", ["old", "new"])
def test_a_host_of_another_day_runs_a_plugin_of_this_sdk(host: DirectHost, side: str) -> None:
    plugin = host.start()
    answer = call(plugin, "Negotiate", f"{side}.NegotiateRequest")
    assert answer["version"] == "1.2.3" and answer["services"] == ["parity.v1.Parity"]
    offered = {one["name"]: one["versions"] for one in answer["capabilities"]}
    assert offered["parity.echo"] == ["1.4", "2.1"]
    for name in BUILT_IN:
        assert offered[name] == ["1.0"]
    assert json.loads(answer["configSchema"])["properties"]["greeting"] == {"type": "string"}

    assert call(plugin, "Configure", f"{side}.ConfigureRequest") == {}
    assert plugin.status() == "SERVING"
    with pytest.raises(grpc.RpcError) as unheard_of:
        plugin.channel.unary_unary("/plugind.plugin.v1.Plugin/Hibernate", None, None)(
            b"\x08\x01", timeout=20 * SLOWNESS
        )
    assert unheard_of.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert call(plugin, "Drain", f"{side}.DrainRequest") == {}
    assert call(plugin, "Shutdown", f"{side}.ShutdownRequest") == {}
    assert plugin.exit_code(within=10) == 0
