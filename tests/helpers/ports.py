"""Ports that nobody has, for what cannot be told to choose one itself."""

from __future__ import annotations

import random
import socket

# Below the range from which a system gives a port to whoever asks for any, and to every connection that goes out: what
# is chosen here is still free when it is used.
_CHOICE = range(20_000, 32_768)
_chosen = random.SystemRandom()


def free_port() -> int:
    """A port on which nobody listens."""
    while True:
        port = _chosen.choice(_CHOICE)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
