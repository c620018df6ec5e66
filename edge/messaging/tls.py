"""TLS to a broker: whom the gateway talks to, and by which certificate the broker knows it."""

from __future__ import annotations

import ssl

from edge.messaging.settings import MqttSettings
from lineside.errors import ConfigurationError


def tls_context(settings: MqttSettings) -> ssl.SSLContext | None:
    """None for a broker without TLS.

    Raises:
        ConfigurationError: a certificate or key cannot be read.
    """
    if not settings.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.certificate is not None and settings.key is not None:
            context.load_cert_chain(settings.certificate, settings.key, password=_no_password)
    except (OSError, ValueError) as error:
        names = ", ".join(str(p) for p in (settings.ca, settings.certificate, settings.key) if p is not None)
        raise ConfigurationError(f"mqtt: the certificates cannot be used ({names}): {error}") from error
    return context


def _no_password() -> str:
    raise ValueError("the private key is encrypted; give one that is not, readable by the gateway alone")
