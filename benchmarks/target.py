"""Where load may be sent: a loopback address, and nothing else."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit


class TargetRefused(ValueError):
    """The target is not on this machine; the load generator is not a weapon."""


@dataclass(frozen=True, slots=True)
class Target:
    """A loopback HTTP endpoint. `address` is the resolved IP that is connected to, `host` what the URL said."""

    host: str
    address: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> Target:
        """Resolve `url` once, so that a name cannot point elsewhere later.

        Raises:
            TargetRefused: not plain HTTP, or any address of the host lies outside the loopback range.
        """
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise TargetRefused(f"{url!r}: only http:// URLs with a host are loaded")
        port = parts.port or 80
        try:
            found = {str(info[4][0]) for info in socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)}
        except socket.gaierror as error:
            raise TargetRefused(f"{url!r}: {parts.hostname} does not resolve ({error})") from error
        outside = sorted(address for address in found if not ipaddress.ip_address(address).is_loopback)
        if outside:
            raise TargetRefused(f"{url!r}: {outside[0]} is not a loopback address; load goes to this machine only")
        address = min(found, key=lambda a: ":" in a)  # IPv4 first: services bind 127.0.0.1 by default
        path = parts.path or "/"
        return cls(parts.hostname, address, port, f"{path}?{parts.query}" if parts.query else path)

    def post(self, body: bytes, *, accept: str = "application/json") -> bytes:
        """The complete HTTP/1.1 request for a JSON body, ready to be written."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {host}:{self.port}\r\nAccept: {accept}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode("ascii") + body
