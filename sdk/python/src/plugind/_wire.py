"""Protobuf's wire format, as far as our own few messages need it.

Why not generated code: it works with one range of protobuf's versions only, and importing it with struct.proto costs a plugin
more start-up time than the rest of this package. The tests hold every message to protoc's code.

Decoding is lenient, as the contract asks: an unknown field is passed over, and so is a known one of another wire type.
"""

from __future__ import annotations

import struct
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Tuple, Union

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

# Deeper messages are refused, as protobuf itself does at 100.
MAX_DEPTH = 100


def _varint(data: bytes, at: int) -> Tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("a message ends within a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7


def fields(data: bytes) -> Iterator[Tuple[int, int, Union[int, bytes]]]:
    """Each field of a message as (number, wire type, value)."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        value: Union[int, bytes]
        if kind == VARINT:
            value, at = _varint(data, at)
        else:
            if kind == BYTES:
                size, at = _varint(data, at)
            elif kind == FIXED64:
                size = 8
            elif kind == FIXED32:
                size = 4
            else:
                raise ValueError(f"wire type {kind}")
            if size > len(data) - at:
                raise ValueError("a message ends within a field")
            value = data[at : at + size]
            at += size
        yield key >> 3, kind, value


def all_bytes(data: bytes, number: int) -> List[bytes]:
    """The values of a repeated field of messages or bytes."""
    return [
        value
        for found, _, value in fields(data)
        if found == number and isinstance(value, bytes) and _ == BYTES
    ]


def texts(data: bytes, number: int) -> List[str]:
    """The values of a repeated string."""
    return [value.decode("utf-8", "replace") for value in all_bytes(data, number)]


def text(data: bytes, number: int) -> str:
    """The value of a string; "" when it is not there."""
    found = texts(data, number)
    return found[-1] if found else ""


def number(data: bytes, field: int) -> int:
    """The value of an integer, bool or enum; 0 when it is not there."""
    found = 0
    for at, kind, value in fields(data):
        if at == field and kind == VARINT and isinstance(value, int):
            found = value
    return found


def string_map(data: bytes, number: int) -> Dict[str, str]:
    """The value of a map<string, string>."""
    return {text(entry, 1): text(entry, 2) for entry in all_bytes(data, number)}


def put_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def put_number(field: int, value: int) -> bytes:
    """An integer, bool or enum that is not negative; nothing for 0, which is the default."""
    return put_varint(field << 3 | VARINT) + put_varint(value) if value else b""


def put_bytes(field: int, value: bytes) -> bytes:
    """One message, one bytes, or one element of a repeated string."""
    return put_varint(field << 3 | BYTES) + put_varint(len(value)) + value


def put_text(field: int, value: str) -> bytes:
    """A string; nothing for "", which is the default."""
    return put_bytes(field, value.encode()) if value else b""


def put_texts(field: int, values: Iterable[str]) -> bytes:
    return b"".join(put_bytes(field, value.encode()) for value in values)


def put_string_map(field: int, values: Mapping[str, str]) -> bytes:
    return b"".join(
        put_bytes(field, put_text(1, key) + put_text(2, value)) for key, value in values.items()
    )


# ---- google.protobuf.Struct ----


def table(data: bytes, depth: int = 0) -> Dict[str, Any]:
    """A Struct as a dict. A number without a fraction is an int, because that is what its author wrote."""
    result: Dict[str, Any] = {}
    for entry in all_bytes(data, 1):
        values = all_bytes(entry, 2)
        result[text(entry, 1)] = _value(values[-1], depth + 1) if values else None
    return result


def _value(data: bytes, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError("settings are nested too deeply")
    result: Any = None
    for field, kind, raw in fields(data):
        if field == 4 and kind == VARINT:
            result = bool(raw)
        elif field == 2 and kind == FIXED64 and isinstance(raw, bytes):
            (result,) = struct.unpack("<d", raw)
            if result.is_integer() and abs(result) <= 2**53:
                result = int(result)
        elif kind == BYTES and isinstance(raw, bytes):
            if field == 3:
                result = raw.decode("utf-8", "replace")
            elif field == 5:
                result = table(raw, depth)
            elif field == 6:
                result = [_value(one, depth + 1) for one in all_bytes(raw, 1)]
        elif field == 1 and kind == VARINT:
            result = None
    return result


def put_table(values: Mapping[str, Any]) -> bytes:
    """A mapping as a Struct."""
    return b"".join(
        put_bytes(1, put_text(1, key) + put_bytes(2, _put_value(value)))
        for key, value in values.items()
    )


def _put_value(value: Any) -> bytes:
    if value is None:
        return put_varint(1 << 3) + b"\0"
    if isinstance(value, bool):
        return put_varint(4 << 3) + (b"\1" if value else b"\0")
    if isinstance(value, (int, float)):
        return put_varint(2 << 3 | FIXED64) + struct.pack("<d", value)
    if isinstance(value, str):
        return put_bytes(3, value.encode())
    if isinstance(value, Mapping):
        return put_bytes(5, put_table(value))
    return put_bytes(6, b"".join(put_bytes(1, _put_value(one)) for one in value))
