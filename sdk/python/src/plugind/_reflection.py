"""grpc.reflection.v1 and v1alpha, whose messages are the same on the wire. Loaded when somebody first asks.

The author's files come from protobuf's own pool, ours from contract.binpb, which generate.sh makes.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List, Optional

from . import _wire

NOT_FOUND, UNIMPLEMENTED = 5, 12


class Files:
    """The files of our own services, each as a serialised FileDescriptorProto."""

    def __init__(self) -> None:
        path = os.path.join(os.path.dirname(__file__), "contract.binpb")
        with open(path, "rb") as opened:
            files = _wire.all_bytes(opened.read(), 1)
        self.by_name: Dict[str, bytes] = {_wire.text(file, 1): file for file in files}
        self.by_symbol: Dict[str, bytes] = {}
        for file in files:
            package = _wire.text(file, 2)
            for kind in (4, 5, 6):  # messages, enums, services
                for thing in _wire.all_bytes(file, kind):
                    symbol = f"{package}.{_wire.text(thing, 1)}"
                    self.by_symbol[symbol] = file
                    for method in _wire.all_bytes(thing, 2) if kind == 6 else ():
                        self.by_symbol[f"{symbol}.{_wire.text(method, 1)}"] = file


class Reflection:
    def __init__(self, services: List[str]) -> None:
        self._services = services
        self._ours = Files()

    def answer(self, requests: Iterator[bytes]) -> Iterator[bytes]:
        for request in requests:
            answer = _wire.put_text(1, _wire.text(request, 1)) + _wire.put_bytes(2, request)
            yield answer + self._answer(request)

    def _answer(self, request: bytes) -> bytes:
        asked = {field: value for field, _, value in _wire.fields(request) if field > 1}
        if 7 in asked:
            return _wire.put_bytes(
                6,
                b"".join(_wire.put_bytes(1, _wire.put_text(1, name)) for name in self._services),
            )
        for field, find in ((3, self._file_named), (4, self._file_with)):
            value = asked.get(field)
            if isinstance(value, bytes):
                name = value.decode("utf-8", "replace")
                file = find(name)
                if file is None:
                    return _error(NOT_FOUND, f"{name} is not known here")
                return _wire.put_bytes(4, b"".join(_wire.put_bytes(1, one) for one in file))
        return _error(UNIMPLEMENTED, "this server knows files, symbols and services only")

    def _file_named(self, name: str) -> Optional[List[bytes]]:
        found = self._from_pool("FindFileByName", name)
        return found or self._with_imports(self._ours.by_name.get(name))

    def _file_with(self, symbol: str) -> Optional[List[bytes]]:
        found = self._from_pool("FindFileContainingSymbol", symbol)
        return found or self._with_imports(self._ours.by_symbol.get(symbol))

    def _with_imports(self, file: Optional[bytes]) -> Optional[List[bytes]]:
        if file is None:
            return None
        found: Dict[bytes, None] = {file: None}
        for name in _wire.texts(file, 3):
            for one in self._with_imports(self._ours.by_name.get(name)) or ():
                found[one] = None
        return list(found)

    def _from_pool(self, method: str, name: str) -> Optional[List[bytes]]:
        """The file and all that it imports, first things first."""
        from google.protobuf import descriptor_pool

        try:
            file = getattr(descriptor_pool.Default(), method)(name)
        except KeyError:
            return None
        found: Dict[str, bytes] = {}

        def add(one: Any) -> None:
            if one.name not in found:
                found[one.name] = one.serialized_pb
                for dependency in one.dependencies:
                    add(dependency)

        add(file)
        return list(found.values())


def _error(code: int, message: str) -> bytes:
    return _wire.put_bytes(7, _wire.put_number(1, code) + _wire.put_text(2, message))
