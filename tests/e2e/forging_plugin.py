#!/usr/bin/python3
"""A plugin under AutoMTLS whose handshake says something else than it does: forging_plugin.py HOW COMMAND…

COMMAND is an honest plugin; what it prints is passed on, with field 6 of the handshake changed:
  stranger   another certificate than the one that it shows: the host's own
  empty      none, as of a plugin that has its own TLS or ignores AutoMTLS
  plain      a certificate, though it speaks no TLS
"""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
import sys


def main() -> None:
    how, *command = sys.argv[1:]
    certificate = ssl.PEM_cert_to_DER_cert(os.environ["PLUGIN_CLIENT_CERT"])
    environment = dict(os.environ)
    if how == "plain":
        del environment["PLUGIN_CLIENT_CERT"]
    plugin = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    assert plugin.stdout
    fields = plugin.stdout.readline().decode().rstrip("\n").split("|")[:5]
    fields.append("" if how == "empty" else base64.b64encode(certificate).decode().rstrip("="))
    print("|".join(fields), flush=True)
    for line in plugin.stdout:
        sys.stdout.buffer.write(line)
    sys.exit(plugin.wait())


main()
