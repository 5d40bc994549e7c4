"""serve(): the plugin as a process, from its arguments to its exit code."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, List

from . import _handshake, _output
from ._lifeline import Lifeline
from ._log import log
from ._server import Server
from ._spec import Spec

if TYPE_CHECKING:
    from ._plugin import Plugin

INFO = "--plugind-info"


class CannotServe(Exception):
    """Why not, for a person."""


def run(plugin: Plugin, arguments: List[str]) -> int:
    spec = plugin._spec
    if INFO in arguments:
        import json

        print(json.dumps(spec.info()))
        return 0
    key, value = spec.cookie
    if os.environ.get(key) != value:
        _explain(spec)
        return 1
    try:
        return _serve(plugin)
    except (CannotServe, OSError) as error:
        log("error", f"{spec.name} cannot serve: {error}")
        return 1


def _explain(spec: Spec) -> None:
    program = os.path.abspath(sys.argv[0])
    print(
        f"{spec.name} {spec.version} is a plugin: plugind starts it and calls it over gRPC. To run it, name it\n"
        f"in plugins.d/{spec.name}.toml beside plugind.toml, then: pluginctl reload\n\n"
        f'    command = ["{program}"]\n\n'
        f"{program} {INFO} says what it serves.",
        file=sys.stderr,
    )


def _serve(plugin: Plugin) -> int:
    spec = plugin._spec
    environment = os.environ
    if _handshake.multiplexing(environment):
        raise CannotServe(
            "the host asks for gRPC multiplexing (PLUGIN_MULTIPLEX_GRPC is set), which this SDK does "
            "not have; turn GRPCBrokerMultiplex off in the host's ClientConfig"
        )
    certificate, credentials = "", None
    if environment.get("PLUGIN_CLIENT_CERT"):
        certificate, credentials = _mutual_tls(environment["PLUGIN_CLIENT_CERT"])

    lifeline = Lifeline()
    lifeline.take_signals()
    plugin._on_stop = lifeline.stop
    if plugin._stopped_early:
        lifeline.stop()

    stdio, announce = None, 1
    if not environment.get("PLUGIND_INSTANCE"):
        stdio = _output.Stdio()
        announce = _output.Capture(stdio).original
    _output.lines_at_once()

    plugin._host_address = environment.get("PLUGIND_HOST_ADDRESS") or None
    if spec.start:
        try:
            spec.start()
        except Exception as error:
            import traceback

            log("debug", traceback.format_exc())
            raise CannotServe(f"on_start: {error}") from error

    server = Server(spec, plugin._health, plugin._contract, lifeline.stop, stdio)
    path = _handshake.socket_path(environment)
    server.listen(path, credentials)
    group = environment.get("PLUGIN_UNIX_SOCKET_GROUP")
    if group:
        try:
            _handshake.share_with_group(path, group)
        except (KeyError, OSError) as error:
            raise CannotServe(f"PLUGIN_UNIX_SOCKET_GROUP={group}: {error}") from error
    server.start()
    offered, own = _handshake.offered_versions(environment), spec.protocol_versions
    mismatch = _handshake.mismatch(spec.name, offered, own)
    if mismatch:
        print(mismatch, file=sys.stderr, flush=True)
    # Only now, because the host connects as soon as it reads this.
    version = _handshake.choose_version(offered, own)
    os.write(announce, _handshake.line(version, path, certificate))

    why = lifeline.wait()
    log("debug", f"{spec.name} ends: {why}")
    ended = server.end()
    plugin._hang_up()
    _output.flush()
    if not ended:
        log(
            "warn",
            f"{spec.name}: a call did not end when it was cancelled; the process ends around it",
        )
        # Python itself would wait for its thread.
        os._exit(0)
    return 0


def _mutual_tls(client_certificate: str) -> Any:
    try:
        from ._mtls import credentials
    except ImportError as error:
        raise CannotServe(
            "the host asks for AutoMTLS (PLUGIN_CLIENT_CERT is set), which needs the package "
            f"cryptography: pip install plugind[mtls], or turn AutoMTLS off in the host ({error})"
        ) from error
    return credentials(client_certificate.encode())
