"""Our own wire format against protobuf's, message by message."""

from __future__ import annotations

import pathlib
import random
from typing import Any

import plugind
import pytest
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    json_format,
    message_factory,
    struct_pb2,
)
from plugind import _wire

RICH = {
    "text": "Grüß Gott, 世界\n",
    "numbers": [0, 1, -1, 0.5, 1e300, 2**53, -(2**53)],
    "flags": [True, False, None],
    "deep": {"deeper": {"deepest": [[], {}, [1, ["x"]]]}},
    "": "the empty key",
}


def messages() -> Any:
    """Classes for the messages in contract.binpb, made by protobuf."""
    path = pathlib.Path(plugind.__file__).with_name("contract.binpb")
    files = descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())

    def find(name: str) -> Any:
        descriptor = pool.FindMessageTypeByName(name)
        if hasattr(message_factory, "GetMessageClass"):
            return message_factory.GetMessageClass(descriptor)
        return message_factory.MessageFactory(pool).GetPrototype(descriptor)

    return find


def test_settings_are_read_as_protobuf_wrote_them() -> None:
    struct = struct_pb2.Struct()
    struct.update(RICH)
    assert _wire.table(struct.SerializeToString()) == RICH


def test_numbers_without_a_fraction_are_integers() -> None:
    struct = struct_pb2.Struct()
    struct.update({"port": 80, "ratio": 0.5, "huge": 1e300})
    read = _wire.table(struct.SerializeToString())
    assert [type(read[key]) for key in ("port", "ratio", "huge")] == [int, float, float]


def test_settings_are_written_as_protobuf_reads_them() -> None:
    struct = struct_pb2.Struct.FromString(_wire.put_table(RICH))
    assert json_format.MessageToDict(struct) == RICH


def test_settings_that_are_nested_too_deeply_are_refused() -> None:
    data = b""
    for _ in range(5 * _wire.MAX_DEPTH):
        data = _wire.put_bytes(
            1, _wire.put_text(1, "a") + _wire.put_bytes(2, _wire.put_bytes(5, data))
        )
    with pytest.raises(ValueError, match="nested too deeply"):
        _wire.table(data)


def test_the_fields_of_every_message_of_ours_are_those_of_the_contract() -> None:
    find = messages()
    request = find("plugind.plugin.v1.ConfigureRequest")(capabilities={"a": "1.0", "b": "2.1"})
    assert _wire.string_map(request.SerializeToString(), 2) == {"a": "1.0", "b": "2.1"}
    health = find("grpc.health.v1.HealthCheckRequest")(service="plugin").SerializeToString()
    assert _wire.text(health, 1) == "plugin"
    stdio = find("plugin.StdioData").FromString(_wire.put_number(1, 1) + _wire.put_bytes(2, b"x"))
    assert (stdio.channel, stdio.data) == (1, b"x")
    violation = _wire.put_bytes(1, _wire.put_text(1, "a.b") + _wire.put_text(2, "why"))
    (read,) = find("plugind.plugin.v1.ConfigureResponse").FromString(violation).violations
    assert (read.field, read.reason) == ("a.b", "why")


def test_fields_that_nobody_knows_and_known_ones_of_another_type_are_passed_over() -> None:
    data = _wire.put_number(1, 7) + _wire.put_text(99, "new") + _wire.put_bytes(1, b"text")
    data += _wire.put_varint(50 << 3 | 5) + b"1234" + _wire.put_varint(51 << 3 | 1) + b"12345678"
    assert _wire.text(data, 1) == "text"
    assert _wire.number(data, 1) == 7


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**32, 2**63, 2**64 - 1])
def test_a_number_survives(value: int) -> None:
    assert _wire.number(_wire.put_number(3, value), 3) == value


def test_garbage_is_an_error_or_a_message_and_nothing_else() -> None:
    generator = random.Random(1)
    for _ in range(5000):
        data = generator.randbytes(generator.randrange(40))
        try:
            _wire.table(data)
            list(_wire.fields(data))
        except ValueError:
            pass


@pytest.mark.parametrize(
    "data", [b"\x0a", b"\x0a\x05abc", b"\x08", b"\x08" + b"\xff" * 11, b"\x0b"]
)
def test_a_message_that_is_cut_off_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        list(_wire.fields(data))
