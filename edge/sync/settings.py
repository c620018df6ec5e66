"""Settings of a gateway's synchronisation: where from, where to, and how much of link and disk it may take."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from edge.trust.records import Name


class SyncSettings(BaseModel):
    """The part of `gateway.yaml` that synchronisation needs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gateway: Name
    store: str = Field(description="https://host/path, s3://bucket/prefix or a folder")
    ca: Path | None = Field(None, description="certificates that the store's is checked by; the system's when absent")
    state: Path = Field(description="folder of this gateway alone; holds nothing in plain text but models")
    root: Path = Field(description="the root metadata that the gateway was installed with: 1.root.json")
    key: str = Field(description="reference to the gateway's key: file:PATH, env:NAME, tpm:PATH or kms:PATH")
    models: tuple[Name, ...] = Field((), description="models that this gateway needs")
    families: tuple[Name, ...] | None = Field(None, description="of those it may hold; all when absent")

    max_disk_mib: float = Field(4_096, gt=0, description="packs and models of two releases must fit")
    max_metadata_bytes: int = Field(8 << 20, ge=1_024, description="one file of signed metadata")
    max_index_bytes: int = Field(64 << 20, ge=1_024, description="one piece index, access or release record")
    max_shard_mib: float = Field(8_192, gt=0, description="plain bytes of one shard, held in memory")

    link_share: float = Field(0.5, gt=0, le=1, description="part of the time in which packs are transferred")
    max_bytes_per_s: float | None = Field(None, gt=0, description="mean rate of transfers; no limit when absent")
    connect_timeout_s: float = Field(5, gt=0)
    read_timeout_s: float = Field(15, gt=0, description="silence after which a transfer is given up")
    min_bytes_per_s: float = Field(2_048, gt=0, description="a transfer that is slower than this is given up")

    poll_s: float = Field(60, gt=0, description="seconds between looks at the store")
    backoff_max_s: float = Field(900, gt=0, description="longest wait after failures; waits are jittered")
    check_every_s: float = Field(3_600, gt=0, description="seconds between checks of all packs on the disk")
    check_bytes_per_s: float = Field(16 << 20, gt=0, description="rate at which packs are read for that")

    @property
    def max_shard_bytes(self) -> int:
        return int(self.max_shard_mib * 2**20)
