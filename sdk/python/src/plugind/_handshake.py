"""What a host says in the environment, and what the plugin answers with its one line. The wire contract is go-plugin's."""

from __future__ import annotations

import os
from typing import List, Mapping

# What Go's strconv.ParseBool takes for true, which is what go-plugin reads the variable with.
TRUE = ("1", "t", "T", "true", "TRUE", "True")


def offered_versions(environment: Mapping[str, str]) -> List[int]:
    """What the host offers, ascending. What is no number is passed over."""
    offered = environment.get("PLUGIN_PROTOCOL_VERSIONS", "")
    return sorted({int(one) for one in offered.split(",") if one.strip().isdecimal()})


def choose_version(offered: List[int], own: List[int]) -> int:
    """The highest in common, else our lowest, which lets the host refuse by name."""
    return max(set(offered).intersection(own), default=min(own))


def mismatch(name: str, offered: List[int], own: List[int]) -> str:
    """For whoever reads why the host refuses the plugin; "" where there is a version in common, or none was offered."""
    if not offered or set(offered).intersection(own):
        return ""
    ours, theirs = (", ".join(map(str, versions)) for versions in (own, offered))
    return f"{name} serves protocol versions {ours}; its host offers {theirs}"


def socket_path(environment: Mapping[str, str]) -> str:
    """In the directory that the host made for this process; elsewhere under a name that is free."""
    own = environment.get("PLUGIN_UNIX_SOCKET_DIR")
    if own:
        path = os.path.join(os.path.abspath(own), "p.sock")
        if not os.path.lexists(path):
            return path
    directory = os.path.abspath(own or environment.get("TMPDIR") or "/tmp")
    return os.path.join(directory, f"plugin-{os.getpid()}-{os.urandom(4).hex()}.sock")


def line(version: int, path: str, certificate: str = "") -> bytes:
    """CORE|APP|NETWORK|ADDRESS|PROTOCOL[|CERTIFICATE]"""
    tail = f"|{certificate}" if certificate else ""
    return f"1|{version}|unix|{path}|grpc{tail}\n".encode()


def multiplexing(environment: Mapping[str, str]) -> bool:
    return environment.get("PLUGIN_MULTIPLEX_GRPC", "") in TRUE


def share_with_group(path: str, group: str) -> None:
    """PLUGIN_UNIX_SOCKET_GROUP: a name or a gid whose members may connect too."""
    import grp

    gid = int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    os.chown(path, -1, gid)
    os.chmod(path, 0o660)
