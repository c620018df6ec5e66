"""What the `shards` role signs beside the piece indexes: the release record and every gateway's access."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from functools import cached_property
from typing import Annotated, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from edge.pieces.index import NAME
from lineside.errors import IntegrityError

Name = Annotated[str, Field(pattern=NAME)]
RELEASE: Final = "release.json"
Record = TypeVar("Record", bound=BaseModel)


def index_path(family: str) -> str:
    return f"shards/{family}.json"


def model_path(model: str) -> str:
    return f"models/{model}.json"


def access_path(gateway: str) -> str:
    return f"access/{gateway}.json"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PublishedShard(_Record):
    """A shard of a release and the epoch of the data key that seals it.

    `recipients`: the gateways that the data key is wrapped for, each with the beginning of its public key; when one
    of them is missing or has another key the next time, a new epoch begins.
    """

    family: Name
    shard: str = Field(pattern=r"^[0-9a-f]{40}$")
    epoch: int = Field(ge=1)
    recipients: tuple[str, ...] = Field(max_length=100_000)

    @cached_property
    def readers(self) -> frozenset[str]:
        """`recipients`, to look up in."""
        return frozenset(self.recipients)


class ReleaseRecord(_Record):
    """`release.json`. `publication` rises with every publishing, also when an older release is published again."""

    format_version: Literal[1] = 1
    publication: int = Field(ge=1)
    release: int = Field(ge=1)
    created: datetime
    fingerprints: dict[str, str]
    shards: tuple[PublishedShard, ...] = Field(min_length=1, max_length=10_000)

    @model_validator(mode="after")
    def _one_shard_a_family(self) -> ReleaseRecord:
        if len({shard.family for shard in self.shards}) != len(self.shards):
            raise ValueError("a family has two shards")
        return self


class WrappedKey(_Record):
    """The data key of one family and epoch, wrapped for one gateway (base64)."""

    epoch: int = Field(ge=1)
    wrapped: str = Field(max_length=500)


class AccessRecord(_Record):
    """`access/GATEWAY.json`: the families that a gateway holds and their data keys. Without it a gateway is revoked."""

    format_version: Literal[1] = 1
    gateway: Name
    keys: dict[Name, WrappedKey]


def parse_record(data: bytes, kind: type[Record], path: str) -> Record:
    """Raises IntegrityError where signed content is malformed all the same."""
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        raise IntegrityError(f"{path} is malformed: {error.errors(include_url=False)[0]['msg']}") from None


class Recipient(_Record):
    """A gateway as the publisher knows it. `families` None: all of them."""

    public_key: str
    families: tuple[Name, ...] | None = None
    url: str = Field("", max_length=500, description="where its neighbours and clients ask it; nowhere when empty")

    def holds(self, family: str) -> bool:
        return self.families is None or family in self.families

    def label(self, name: str) -> str:
        """How release records name it: with the beginning of its key's hash."""
        return f"{name}:{hashlib.sha256(base64.b64decode(self.public_key)).hexdigest()[:16]}"


class Recipients(_Record):
    """Who may read which families."""

    gateways: dict[Name, Recipient] = Field(max_length=100_000)

    @field_validator("gateways")
    @classmethod
    def _publisher_is_reserved(cls, gateways: dict[str, Recipient]) -> dict[str, Recipient]:
        if "publisher" in gateways:
            raise ValueError("no gateway can be named `publisher`")
        return gateways
