#!/usr/bin/env python3
"""Records messages.json: what hosts and plugins of version 0.1 say (old.…), and what those of a later version may say, with
fields, capabilities and details that 0.1 does not know (new.…). Run once for a release; what is recorded never changes.

/usr/bin/python3 tests/contract/frozen/record.py
"""

from __future__ import annotations

import json
from typing import Any

from google.protobuf import json_format

from message_set import RECORDED, fields_of, frozen_class

BUILT_IN = ["config.reload", "drain", "peer.calls", "log.structured", "trace"]
NEGOTIATE = {
    "host": "plugind",
    "hostVersion": "0.1.0",
    "plugin": "frozen",
    "instance": "7f3a",
    "protocolVersion": 1,
    "offeredProtocolVersions": [1, 2],
    "capabilities": [{"name": name, "versions": ["1.0"]} for name in BUILT_IN],
}
ANSWER = {
    "name": "frozen",
    "version": "1.2.3",
    "services": ["frozen.v1.Frozen"],
    "capabilities": [
        *({"name": name, "versions": ["1.0"]} for name in BUILT_IN),
        {"name": "frozen.echo", "versions": ["1.4", "2.1"]},
    ],
    "configSchema": '{"type":"object","properties":{"greeting":{"type":"string"}}}',
    "sdk": {"language": "none", "version": "0"},
}
SETTINGS = {"greeting": "hello", "limits": {"max": 3.0}, "on": True, "servers": [{"port": 1.0}, None]}
CONFIGURE = {
    "settings": SETTINGS,
    "capabilities": {name: "1.0" for name in BUILT_IN},
    "generation": "1",
}
REFUSAL = {"violations": [{"field": "limits.max", "reason": "is too much"}]}


def unknown(number: int) -> bytes:
    """A varint, a text, and a nested message, under numbers that nobody uses yet."""

    def tag(field: int, kind: int) -> bytes:
        key, out = field << 3 | kind, b""
        while key > 0x7F:
            out += bytes([key & 0x7F | 0x80])
            key >>= 7
        return out + bytes([key])

    text = "of a later day".encode()
    nested = tag(1, 2) + bytes([len(text)]) + text
    return (
        tag(number, 0)
        + b"\x96\x01"
        + tag(number + 1, 2)
        + bytes([len(text)])
        + text
        + tag(number + 2, 2)
        + bytes([len(nested)])
        + nested
        + tag(number + 3, 5)
        + b"\x01\x02\x03\x04"
    )


def old(kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    message = json_format.ParseDict(fields, frozen_class(kind)())
    return {"type": kind, "fields": fields_of(message), "hex": message.SerializeToString(True).hex()}


def new(kind: str, fields: dict[str, Any], parts: str = "") -> dict[str, Any]:
    """Unknown fields at the top and in each element of the field `parts`."""
    message = json_format.ParseDict(fields, frozen_class(kind)())
    for part in getattr(message, parts) if parts else ():
        part.MergeFromString(unknown(100))
    return {
        "type": kind,
        "fields": fields_of(message),
        "hex": (message.SerializeToString(True) + unknown(1000)).hex(),
    }


def later(fields: dict[str, Any]) -> dict[str, Any]:
    """With capabilities, and versions of known ones, that 0.1 has not heard of."""
    more = [
        {"name": "hibernate", "versions": ["1.0", "7.3"]},
        {"name": "config.reload", "versions": ["1.6", "2.0"]},
    ]
    kept = [one for one in fields["capabilities"] if one["name"] != "config.reload"]
    return {**fields, "capabilities": [*kept, *more]}


def main() -> None:
    messages = {
        "old.NegotiateRequest": old("NegotiateRequest", NEGOTIATE),
        "old.NegotiateResponse": old("NegotiateResponse", ANSWER),
        "old.ConfigureRequest": old("ConfigureRequest", CONFIGURE),
        "old.ConfigureResponse": old("ConfigureResponse", {}),
        "old.ConfigureResponse.refused": old("ConfigureResponse", REFUSAL),
        "old.DrainRequest": old("DrainRequest", {"timeout": "30s"}),
        "old.DrainResponse": old("DrainResponse", {}),
        "old.ShutdownRequest": old("ShutdownRequest", {"timeout": "5s"}),
        "old.ShutdownResponse": old("ShutdownResponse", {}),
        "new.NegotiateRequest": new(
            "NegotiateRequest", later({**NEGOTIATE, "hostVersion": "9.0.0"}), "capabilities"
        ),
        "new.NegotiateResponse": new("NegotiateResponse", later(ANSWER), "capabilities"),
        "new.ConfigureRequest": new(
            "ConfigureRequest",
            {**CONFIGURE, "capabilities": {**CONFIGURE["capabilities"], "hibernate": "7.3"}},
        ),
        "new.ConfigureResponse": new("ConfigureResponse", {}),
        "new.ConfigureResponse.refused": new("ConfigureResponse", REFUSAL, "violations"),
        "new.DrainRequest": new("DrainRequest", {"timeout": "30s"}),
        "new.DrainResponse": new("DrainResponse", {}),
        "new.ShutdownRequest": new("ShutdownRequest", {"timeout": "5s"}),
        "new.ShutdownResponse": new("ShutdownResponse", {}),
    }
    RECORDED.write_text(json.dumps(messages, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
