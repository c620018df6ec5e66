"""Free ports of the loopback interface, for processes that bind them some seconds later."""

from __future__ import annotations

import random
import socket

# Below what systems give to outgoing connections (from 32768): between the choice and the moment a service listens,
# the connections of other processes cannot take the port. Above the ports of Ray's workers (10002 to 19999), below
# those of Serve's replicas (from 30000).
_FIRST, _LAST = 20_000, 29_999
_TRIES = 1_000

_random = random.SystemRandom()
_given: set[int] = set()


def free_ports(count: int) -> list[int]:
    """Ports in a row that nothing listens on now, and that this process was not given before.

    Raises:
        OSError: so many in a row are not to be found.
    """
    for _ in range(_TRIES):
        first = _random.randint(_FIRST, _LAST + 1 - count)
        ports = list(range(first, first + count))
        if not _given.intersection(ports) and all(map(_is_free, ports)):
            _given.update(ports)
            return ports
    raise OSError(f"no {count} free ports in a row between {_FIRST} and {_LAST}")


def free_port() -> int:
    """A port that nothing listens on now, and that this process was not given before."""
    return free_ports(1)[0]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that only waits for late packets is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
