"""Tells a plant's gateways that there is a new publication: one retained number."""

from __future__ import annotations

import asyncio
import uuid
from typing import Final

from edge.messaging.connection import Connection
from edge.messaging.messages import Outgoing
from edge.messaging.settings import MqttSettings
from edge.messaging.topics import release_topic
from lineside.errors import Unavailable

_WAIT_S: Final = 20.0


def announce(settings: MqttSettings, publication: int) -> None:
    """Publishes the number; the broker keeps it for gateways that come later. Blocks until the broker has it.

    Gateways believe the store's signatures only, so that a wrong number costs them one look at the store.

    Raises:
        ConfigurationError: a certificate or key cannot be read.
        Unavailable: the broker cannot be reached, or refuses.
    """
    asyncio.run(_announce(settings.model_copy(update={"session_expiry_s": 0}), publication))


async def _announce(settings: MqttSettings, publication: int) -> None:
    connection = Connection(
        settings,
        f"lineside-publisher-{uuid.uuid4().hex[:12]}",
        (),
        receive_maximum=1,
        max_payload_bytes=1_024,
        on_message=lambda delivery: None,
    )
    connection.start()
    number = Outgoing(
        release_topic(settings.prefix), b"%d" % publication, qos=1, retain=True, content_type="text/plain"
    )
    try:
        await asyncio.wait_for(connection.publish(number), _WAIT_S)
    except TimeoutError:
        raise Unavailable(f"{settings.broker}: {connection.problem or 'the broker does not confirm'}") from None
    finally:
        await connection.stop()
