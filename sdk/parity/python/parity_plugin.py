"""The parity plugin in Python; see ../README.md."""

from __future__ import annotations

import json
import os
import sys
import time

import grpc
import parity_pb2 as pb
import parity_pb2_grpc
import plugind

SCHEMA = {
    "type": "object",
    "properties": {"greeting": {"type": "string"}, "max": {"type": "integer", "maximum": 100}},
}
PEER_SECONDS = 3


def status(error: Exception) -> tuple[int, str]:
    """The gRPC status with which a call to a peer or to the host has failed."""
    if isinstance(error, grpc.RpcError):
        return error.code().value[0], error.details()
    return grpc.StatusCode.UNAVAILABLE.value[0], str(error)


class Parity(parity_pb2_grpc.ParityServicer):
    def __init__(self, plugin: plugind.Plugin) -> None:
        self.plugin = plugin

    def Echo(self, request: pb.EchoRequest, context: grpc.ServicerContext) -> pb.EchoResponse:
        metadata = {
            key: value for key, value in context.invocation_metadata() if not key.endswith("-bin")
        }
        return pb.EchoResponse(text=request.text, metadata=metadata)

    def Sleep(self, request: pb.SleepRequest, context: grpc.ServicerContext) -> pb.SleepResponse:
        end = time.monotonic() + request.milliseconds / 1000
        while context.is_active() and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.05))
        return pb.SleepResponse()

    def Print(self, request: pb.PrintRequest, context: grpc.ServicerContext) -> pb.PrintResponse:
        print(request.text, file=sys.stderr if request.to_stderr else sys.stdout)
        return pb.PrintResponse()

    def Log(self, request: pb.LogRequest, context: grpc.ServicerContext) -> pb.LogResponse:
        plugind.log(request.level, request.message, **request.fields)
        return pb.LogResponse()

    def CallPeer(
        self, request: pb.CallPeerRequest, context: grpc.ServicerContext
    ) -> pb.CallPeerResponse:
        try:
            peer = parity_pb2_grpc.ParityStub(self.plugin.peer(request.name))
            echo = peer.Echo(
                pb.EchoRequest(text=request.text),
                timeout=PEER_SECONDS,
                metadata=list(request.metadata.items()) or None,
            )
        except (plugind.NoHost, grpc.RpcError) as error:
            code, message = status(error)
            return pb.CallPeerResponse(code=code, message=message)
        return pb.CallPeerResponse(echo=echo)

    def AskHost(
        self, request: pb.AskHostRequest, context: grpc.ServicerContext
    ) -> pb.AskHostResponse:
        try:
            identity, peers = self.plugin.identity(), self.plugin.peers()
        except (plugind.NoHost, grpc.RpcError) as error:
            code, message = status(error)
            return pb.AskHostResponse(code=code, message=message)
        return pb.AskHostResponse(
            identity=pb.Identity(**identity._asdict()),
            peers=[pb.Peer(**peer._asdict()) for peer in peers],
        )

    def Agreed(self, request: pb.AgreedRequest, context: grpc.ServicerContext) -> pb.AgreedResponse:
        return pb.AgreedResponse(version=self.plugin.agreed(request.capability) or "")

    def Settings(
        self, request: pb.SettingsRequest, context: grpc.ServicerContext
    ) -> pb.SettingsResponse:
        return pb.SettingsResponse(json=json.dumps(self.plugin.settings()))

    def SetStatus(
        self, request: pb.SetStatusRequest, context: grpc.ServicerContext
    ) -> pb.SetStatusResponse:
        self.plugin.set_status(request.text)
        return pb.SetStatusResponse()

    def SetServing(
        self, request: pb.SetServingRequest, context: grpc.ServicerContext
    ) -> pb.SetServingResponse:
        self.plugin.set_serving(request.serving)
        return pb.SetServingResponse()

    def Stop(self, request: pb.StopRequest, context: grpc.ServicerContext) -> pb.StopResponse:
        self.plugin.stop()
        return pb.StopResponse()


def on_start() -> None:
    if why := os.environ.get("PARITY_START_FAILS"):
        raise RuntimeError(why)
    plugind.log("info", "hook start")


def on_configure(settings: plugind.Settings) -> list[plugind.Violation]:
    plugind.log("info", "hook configure")
    if why := settings.get("throw"):
        raise RuntimeError(why)
    return [plugind.Violation("refuse", settings["refuse"])] if "refuse" in settings else []


def main() -> None:
    plugin = plugind.Plugin("parity-python", "1.2.3")
    plugin.service(parity_pb2_grpc.add_ParityServicer_to_server, Parity(plugin))
    plugin.protocol_version(1).protocol_version(2)
    plugin.provides("parity.echo", "1.4").provides("parity.echo", "2.1")
    plugin.on_start(on_start).on_shutdown(lambda: plugind.log("info", "hook shutdown"))

    def on_drain() -> None:
        time.sleep(plugin.settings().get("drain_ms", 0) / 1000)
        plugind.log("info", "hook drain")

    if os.environ.get("PARITY_NO_HOOKS") != "1":
        plugin.config_schema(SCHEMA).on_configure(on_configure).on_drain(on_drain)
    if cookie := os.environ.get("PARITY_COOKIE"):
        plugin.cookie(*cookie.split("=", 1))
    if needed := os.environ.get("PARITY_REQUIRES"):
        plugin.requires(needed)
    plugin.serve()


if __name__ == "__main__":
    main()
