"""Messages of the contract as they were recorded: bytes beside what they mean, and the descriptors of their day."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

HERE = Path(__file__).resolve().parent
IMAGE = HERE.parent / "released" / "v0.1.binpb"
RECORDED = HERE / "messages.json"


def frozen_class(name: str) -> Any:
    """The class of plugind.plugin.v1.NAME as of the image, whatever the .proto files say today."""
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(IMAGE.read_bytes()).file:
        pool.Add(file)
    descriptor = pool.FindMessageTypeByName(f"plugind.plugin.v1.{name}")
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)


def recorded() -> dict[str, dict[str, Any]]:
    """By name: {"type": …, "fields": what its own time reads in it, "hex": …}."""
    return json.loads(RECORDED.read_text())


def recorded_bytes(name: str) -> bytes:
    return bytes.fromhex(recorded()[name]["hex"])


def fields_of(message: Any) -> dict[str, Any]:
    return json_format.MessageToDict(message)
