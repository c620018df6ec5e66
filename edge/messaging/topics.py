"""The topics of a gateway, and where answers may go."""

from __future__ import annotations

from dataclasses import dataclass

from paho.mqtt.client import topic_matches_sub

from lineside.errors import ConfigurationError, InvalidRequest

MAX_TOPIC_BYTES = 1_024
"""Longest response topic that is taken; MQTT allows 65 535."""


def release_topic(prefix: str) -> str:
    """Retained: number of the newest publication, as decimal digits."""
    return f"{prefix}/release"


@dataclass(frozen=True, slots=True)
class GatewayTopics:
    """`prefix/gateways/name/...`. `response_filters`: MQTT topic filters that a response topic must match one of."""

    prefix: str
    name: str
    response_filters: tuple[str, ...]

    @classmethod
    def of(cls, prefix: str, name: str, response_filters: tuple[str, ...] | None) -> GatewayTopics:
        """Raises ConfigurationError where a filter is not one."""
        filters = (f"{prefix}/clients/#",) if response_filters is None else response_filters
        for text in filters:
            levels = text.split("/")
            alone = all(level in ("+", "#") or not set(level) & set("+#") for level in levels)
            if not alone or "#" in levels[:-1] or text.startswith("$") or "\x00" in text:
                raise ConfigurationError(
                    f"response_topics: {text} is not a topic filter: + and # stand alone between slashes, # at the end"
                )
        return cls(prefix, name, filters)

    @property
    def _own(self) -> str:
        return f"{self.prefix}/gateways/{self.name}"

    @property
    def questions(self) -> str:
        return f"{self._own}/questions"

    @property
    def frames(self) -> str:
        """The filter; the last level is the camera."""
        return f"{self._own}/frames/+"

    @property
    def answers(self) -> str:
        return f"{self._own}/answers"

    @property
    def report(self) -> str:
        return f"{self._own}/report"

    @property
    def release(self) -> str:
        return release_topic(self.prefix)

    def reply_to(self, wanted: str | None) -> str:
        """Where the reply to a message goes that names `wanted` as its response topic.

        Whatever the filters say, nothing is published to topics that gateways read or report on: a message must not
        make this gateway ask itself, or announce a release.

        Raises:
            InvalidRequest: not a topic, or not one that answers may go to.
        """
        if not wanted or wanted == self.answers:
            return self.answers
        if len(wanted.encode()) > MAX_TOPIC_BYTES or set(wanted) & set("+#\x00") or wanted.startswith("$"):
            raise InvalidRequest("the response topic is not a topic that can be published to; the reply is sent here")
        if wanted == self.release or wanted.startswith(f"{self.prefix}/gateways/") or not self._permitted(wanted):
            raise InvalidRequest(
                f"the response topic {wanted} is not one that this gateway may answer to (setting response_topics: "
                f"{', '.join(self.response_filters) or 'none'}); the reply is sent here"
            )
        return wanted

    def _permitted(self, topic: str) -> bool:
        return any(topic_matches_sub(text, topic) for text in self.response_filters)
