"""The parts of serve() that need no process of their own; tests/e2e/test_parity.py has the rest."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import plugind
import pytest
from plugind import _handshake, _output
from plugind._lifeline import Lifeline


@pytest.mark.parametrize(
    "offered, own, version",
    [
        ("1", [1], 1),
        ("1,2,7", [1, 2], 2),
        ("7, 1", [1, 2], 1),
        ("8,9", [2, 3], 2),
        ("", [3, 1], 1),
        ("x,2,-1,,", [1, 2], 2),
    ],
)
def test_the_highest_version_in_common_is_chosen(offered: str, own: Any, version: int) -> None:
    numbers = _handshake.offered_versions({"PLUGIN_PROTOCOL_VERSIONS": offered})
    assert _handshake.choose_version(numbers, own) == version


def test_a_mismatch_of_versions_names_those_of_both_sides() -> None:
    offered = _handshake.offered_versions({"PLUGIN_PROTOCOL_VERSIONS": "9,8,x,9"})
    said = "greeter serves protocol versions 1, 2; its host offers 8, 9"
    assert _handshake.mismatch("greeter", offered, [1, 2]) == said
    assert _handshake.mismatch("greeter", offered, [1, 8]) == ""
    assert _handshake.mismatch("greeter", _handshake.offered_versions({}), [1]) == ""


def test_the_socket_is_in_the_directory_that_the_host_made(tmp_path: Path) -> None:
    environment = {"PLUGIN_UNIX_SOCKET_DIR": str(tmp_path), "TMPDIR": "/nowhere"}
    assert _handshake.socket_path(environment) == f"{tmp_path}/p.sock"
    (tmp_path / "p.sock").touch()
    second = _handshake.socket_path(environment)
    assert Path(second).parent == tmp_path and second != f"{tmp_path}/p.sock"


def test_elsewhere_its_name_is_its_own(tmp_path: Path) -> None:
    names = {_handshake.socket_path({"TMPDIR": str(tmp_path)}) for _ in range(10)}
    assert len(names) == 10 and {Path(name).parent for name in names} == {tmp_path}
    assert _handshake.socket_path({}).startswith("/tmp/")


def test_the_handshake_has_the_certificate_last() -> None:
    assert _handshake.line(2, "/p.sock") == b"1|2|unix|/p.sock|grpc\n"
    assert _handshake.line(1, "/p.sock", "MII") == b"1|1|unix|/p.sock|grpc|MII\n"


def test_a_line_of_log_is_json_with_its_fields(capfd: pytest.CaptureFixture[str]) -> None:
    plugind.log("warn", 'disk "a"\nis full', level="x", message=3, path=Path("/a"))
    (line,) = capfd.readouterr().err.splitlines()
    entry = json.loads(line)
    assert (entry["@level"], entry["@message"]) == ("warn", 'disk "a"\nis full')
    assert (entry["level"], entry["message"], entry["path"]) == ("x", 3, "/a")


def test_a_level_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="warning"):
        plugind.log("warning", "x")


def test_pythons_logging_reaches_the_host(capfd: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("sample.module")
    logger.addHandler(plugind.LogHandler())
    logger.warning("disk %s is full", "sda")
    (line,) = capfd.readouterr().err.splitlines()
    entry = json.loads(line)
    assert (entry["@level"], entry["@message"]) == ("warn", "disk sda is full")
    assert entry["@module"] == "sample.module"


def test_a_schema_is_a_json_object() -> None:
    plugin = plugind.Plugin("sample", "1")
    for wrong in ("[]", "nonsense"):
        with pytest.raises(ValueError):
            plugin.config_schema(wrong)


def test_what_is_printed_while_nobody_reads_is_bounded_and_the_newest_is_kept() -> None:
    stdio = _output.Stdio()
    for number in range(10_000):
        assert stdio.put(b"%d\n" % number)
    assert len(stdio._chunks) == _output.KEPT_CHUNKS
    assert stdio._chunks[-1] == b"9999\n"
    stdio.end()
    assert not stdio.put(b"too late")


def test_a_print_without_a_reader_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(os.dup(writing), "w") as stream:
        replaced = _output._line_buffered(stream, writing)
        assert replaced is not None
        print("anyone?", file=replaced)
        replaced.flush()


def test_a_signal_ends_the_wait_whichever_thread_gets_it() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.set_wakeup_fd(-1)
    try:
        for delay in (0, 0, 0, 0.001, 0.05):
            lifeline = Lifeline()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            lifeline.take_signals()
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL

            def send() -> None:
                time.sleep(delay)
                signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

            threading.Thread(target=send).start()
            assert lifeline.wait() == "asked to stop"
    finally:
        signal.set_wakeup_fd(before[1])
        signal.signal(signal.SIGTERM, before[0])


def test_another_signal_does_not_end_the_wait() -> None:
    before = signal.set_wakeup_fd(-1)
    seen = threading.Event()
    usr1 = signal.signal(signal.SIGUSR1, lambda *_: seen.set())
    try:
        lifeline = Lifeline()
        lifeline.take_signals()

        def send() -> None:
            os.kill(os.getpid(), signal.SIGUSR1)
            assert seen.wait(10)
            lifeline.stop()

        threading.Thread(target=send).start()
        assert lifeline.wait() == "asked to stop"
        assert seen.is_set()
    finally:
        signal.set_wakeup_fd(before)
        signal.signal(signal.SIGUSR1, usr1)


def test_who_took_hold_of_stdout_before_has_lines_at_once_too() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as out, open(writing, "w") as stream:
        handler = logging.StreamHandler(stream)
        assert _output._line_buffered(stream, writing) is not None
        handler.stream.write("one line\n")
        assert out.read(100) == b"one line\n"


@pytest.mark.skipif("not __import__('importlib.util').util.find_spec('cryptography')")
def test_the_certificate_is_what_go_plugin_reads() -> None:
    import base64

    from cryptography import x509
    from plugind import _mtls

    text, _ = _mtls.credentials(b"")
    certificate = x509.load_der_x509_certificate(base64.b64decode(text + "=" * (-len(text) % 4)))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert len(text) > 50


@pytest.mark.skipif("not __import__('importlib.util').util.find_spec('cryptography')")
def test_with_automtls_the_host_alone_gets_in(plugin: plugind.Plugin, tmp_path: Path) -> None:
    import base64
    import ssl

    import grpc
    from plugind import _mtls
    from plugind._server import Server

    from conftest import call

    host_key, host_certificate = _mtls.key_and_certificate()
    text, listening = _mtls.credentials(host_certificate)
    server = Server(plugin._spec, plugin._health, plugin._contract, plugin.stop)
    server.listen(f"{tmp_path}/p.sock", listening)
    server.start()
    der = base64.b64decode(text + "=" * (-len(text) % 4))
    ours = ssl.DER_cert_to_PEM_cert(der).encode()

    def dial(key: bytes, certificate: bytes) -> grpc.Channel:
        credentials = grpc.ssl_channel_credentials(ours, key, certificate)
        options = [("grpc.ssl_target_name_override", "localhost")]
        return grpc.secure_channel(f"unix:{tmp_path}/p.sock", credentials, options)

    with dial(host_key, host_certificate) as channel:
        assert call(channel, b"hello") == b"hello"
    with dial(*_mtls.key_and_certificate()) as channel:
        with pytest.raises(grpc.RpcError):
            call(channel, b"hello")
    server.end()
