#!/usr/bin/env python3
"""Runs the built wordcount plugin the way a host does. Usage: wordcount_test.py DIRECTORY_OF_THE_PLUGIN"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import unittest

BUILT = os.path.abspath(sys.argv.pop(1))
sys.path.insert(0, BUILT)

import grpc  # noqa: E402

import health_pb2  # noqa: E402
import health_pb2_grpc  # noqa: E402
import wordcount_pb2  # noqa: E402
import wordcount_pb2_grpc  # noqa: E402

PROGRAM = os.path.join(BUILT, "wordcount.py")
SECONDS = 20


class WordCountTest(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.plugin = subprocess.Popen(
            [PROGRAM],
            env={"PLUGIND_PLUGIN": "1", "PLUGIN_UNIX_SOCKET_DIR": self.directory.name},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        handshake = self.plugin.stdout.readline()
        core, app, network, self.path, protocol = handshake.strip().split("|")
        self.assertEqual((core, app, network, protocol), ("1", "1", "unix", "grpc"))
        self.assertEqual(os.path.dirname(self.path), self.directory.name)
        self.channel = grpc.insecure_channel(f"unix:{self.path}")
        self.health = health_pb2_grpc.HealthStub(self.channel)
        self.words = wordcount_pb2_grpc.WordCountStub(self.channel)

    def tearDown(self) -> None:
        self.channel.close()
        if self.plugin.poll() is None:
            self.plugin.kill()
        self.plugin.communicate()
        self.directory.cleanup()

    def test_is_healthy_at_once(self) -> None:
        for service in ("", "plugin"):
            request = health_pb2.HealthCheckRequest(service=service)
            answer = self.health.Check(request, timeout=SECONDS)
            self.assertEqual(answer.status, health_pb2.HealthCheckResponse.SERVING)

    def test_does_not_know_other_services(self) -> None:
        with self.assertRaises(grpc.RpcError) as raised:
            self.health.Check(health_pb2.HealthCheckRequest(service="x"), timeout=SECONDS)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.NOT_FOUND)

    def test_counts_as_wc_does(self) -> None:
        text = "two words\nand three more\nno newline, é"
        answer = self.words.Count(wordcount_pb2.CountRequest(text=text), timeout=SECONDS)
        self.assertEqual((answer.words, answer.lines, answer.bytes), (8, 2, len(text.encode())))

    def test_a_piece_may_end_within_a_word(self) -> None:
        pieces = ["one tw", "", "o th", "r", "ee\n", " four"]
        requests = (wordcount_pb2.CountRequest(text=piece) for piece in pieces)
        answer = self.words.CountStream(requests, timeout=SECONDS)
        self.assertEqual((answer.words, answer.lines), (4, 1))

    def test_watch_hears_of_the_stop(self) -> None:
        watch = self.health.Watch(health_pb2.HealthCheckRequest(service="plugin"), timeout=SECONDS)
        self.assertEqual(next(watch).status, health_pb2.HealthCheckResponse.SERVING)
        self.plugin.send_signal(signal.SIGTERM)
        self.assertEqual(next(watch).status, health_pb2.HealthCheckResponse.NOT_SERVING)
        self.assertEqual(self.plugin.wait(SECONDS), 0)

    def test_watches_that_end_make_room_for_others(self) -> None:
        for _ in range(20):
            watch = self.health.Watch(health_pb2.HealthCheckRequest(), timeout=SECONDS)
            self.assertEqual(next(watch).status, health_pb2.HealthCheckResponse.SERVING)
            watch.cancel()
            # The plugin learns of the cancellation before it answers this, which uses the same connection.
            self.health.Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)

    def test_ends_on_sigterm_and_leaves_nothing(self) -> None:
        self.plugin.send_signal(signal.SIGTERM)
        self.assertEqual(self.plugin.wait(SECONDS), 0)
        self.assertEqual(os.listdir(self.directory.name), [])


class ByHandTest(unittest.TestCase):
    def test_explains_itself(self) -> None:
        done = subprocess.run([PROGRAM], env={}, capture_output=True, text=True, timeout=SECONDS)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout, "")
        self.assertIn("wordcount is a plugin", done.stderr)


if __name__ == "__main__":
    unittest.main()
