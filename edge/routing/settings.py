"""Settings of routing: where the cluster is, who answers which priority, when a link is dead, what is too hot."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Preference = Literal["here", "here_first", "cluster_first"]

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BreakerSettings(_Settings):
    """When a link counts as dead, and when it is tried again."""

    failures_in_a_row: int = Field(3, ge=1, le=100, description="failed calls in a row that open the breaker")
    window_s: float = Field(30.0, gt=0, le=3_600, description="calls of this long count for the share of failures")
    failure_share: float = Field(0.5, gt=0, le=1, description="share of failed calls in the window that opens it")
    min_calls: int = Field(10, ge=1, le=1_000, description="calls in the window below which the share says nothing")
    slow_call_ms: float = Field(
        2_000, gt=0, le=120_000, description="a call whose evidence took longer counts as failed, though it is used"
    )
    probe_after_s: float = Field(1.0, gt=0, le=600, description="first wait before an open breaker is probed; doubled")
    probe_max_s: float = Field(60.0, gt=0, le=3_600, description="longest wait between probes")
    probe_timeout_ms: float = Field(2_000, gt=0, le=60_000, description="what a probe (GET /readyz) may take")

    @model_validator(mode="after")
    def _waits(self) -> BreakerSettings:
        if self.probe_after_s > self.probe_max_s:
            raise ValueError("probe_after_s must not be above probe_max_s")
        return self


class PolicySettings(_Settings):
    """Who answers, by priority. `alert` is not here: alerts are always answered on the device."""

    interactive: Preference = Field(
        "here_first",
        description="here: never elsewhere; here_first: elsewhere when this gateway does not know, does not hold the "
        "family or must be spared; cluster_first: here only when the cluster cannot be reached",
    )
    batch: Preference = Field("cluster_first", description="the same choice for analytics")


class HealthSettings(_Settings):
    """When this gateway spares itself. A bar is left again at `hysteresis` of it."""

    temperature_files: tuple[str, ...] = Field(
        ("/sys/class/thermal/thermal_zone*/temp", "/sys/class/hwmon/hwmon*/temp*_input"),
        max_length=16,
        description="patterns of files that hold thousandths of °C: CPU and accelerators; the hottest counts",
    )
    warm_celsius: float = Field(80.0, gt=0, le=150, description="from here on nothing is generated here")
    hot_celsius: float = Field(92.0, gt=0, le=150, description="from here on questions go elsewhere first")
    load_per_core: float = Field(2.0, gt=0, le=100, description="runnable tasks a core, over a minute: overloaded")
    memory_budget_mib: float | None = Field(
        None, gt=0, description="resident memory of this process; above it questions go elsewhere first"
    )
    memory_share: float = Field(0.9, gt=0, le=1, description="budget where none is given: part of the cgroup's limit")
    latency_bar_ms: float = Field(
        300.0, gt=0, le=60_000, description="encoding and searching here: 90th percentile above which others are asked"
    )
    latency_window_s: float = Field(30.0, gt=0, le=3_600, description="searches of this long count")
    latency_min_calls: int = Field(10, ge=1, le=1_000, description="searches below which the percentile says nothing")
    hysteresis: float = Field(0.95, gt=0, le=1, description="share of a bar below which it counts as left")
    read_every_s: float = Field(2.0, gt=0, le=600, description="seconds between readings")
    search_widening: float = Field(
        2.0, ge=1, le=10, description="factor on the time of a search while quicker, less exact encoders are in use"
    )

    @model_validator(mode="after")
    def _order(self) -> HealthSettings:
        if self.warm_celsius > self.hot_celsius:
            raise ValueError("warm_celsius must not be above hot_celsius")
        return self


class RoutingSettings(_Settings):
    """Section `routing:` of `gateway.yaml`. Relative paths belong to the folder of that file.

    Without `cluster` the gateway has only itself and its peers, and calls no answer partial for lack of a cluster.
    """

    cluster: tuple[str, ...] = Field(
        (), max_length=8, description="base URLs of the cluster, tried in this order; https, http on this machine only"
    )
    authorization: str | None = Field(
        None,
        description="env:NAME or file:PATH that holds the Authorization header for the cluster; peers never see it",
    )
    ca: Path | None = Field(
        None, description="certificates that cluster and peers are checked by; the system's if absent"
    )
    certificate: Path | None = Field(None, description="this gateway's client certificate (PEM), for mutual TLS")
    certificate_key: Path | None = Field(None, description="its private key (PEM)")

    policy: PolicySettings = PolicySettings()
    breaker: BreakerSettings = BreakerSettings()
    health: HealthSettings = HealthSettings()

    connect_timeout_ms: float = Field(500, gt=0, le=60_000, description="to connect and shake hands")
    timeout_ms: float = Field(
        3_000,
        gt=0,
        le=120_000,
        description="the longest wait for the evidence of an answer, or for a cited page, whatever the deadline",
    )
    min_ms: float = Field(80, ge=1, le=60_000, description="time left below which nobody else is asked")
    margin_ms: float = Field(40, ge=0, le=10_000, description="of the time left, kept for the way back and the reply")
    fallback_ms: float = Field(
        300, ge=0, le=60_000, description="of the time left, kept for an answer from here where none is at hand yet"
    )
    max_reply_bytes: int = Field(8 << 20, ge=4_096, le=256 << 20, description="one answer or one cited page or image")
    max_connections: int = Field(64, ge=1, le=1_000, description="to cluster and peers together")
    max_peers: int = Field(2, ge=0, le=8, description="replicas that are asked for a family before the cluster is")
    citations_cache_bytes: int = Field(
        16 << 20, ge=0, le=1 << 30, description="pages and images fetched for clients, kept for a while"
    )
    citations_cache_s: float = Field(300, ge=0, le=86_400, description="how long")

    @field_validator("cluster")
    @classmethod
    def _urls(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(check_url(url) for url in urls)

    @model_validator(mode="after")
    def _together(self) -> RoutingSettings:
        if (self.certificate is None) != (self.certificate_key is None):
            raise ValueError("certificate and certificate_key belong together: give both or neither")
        if self.authorization is not None and not self.authorization.startswith(("env:", "file:")):
            raise ValueError("authorization: give env:NAME or file:PATH; the secret itself does not belong here")
        return self

    def below(self, folder: Path) -> RoutingSettings:
        """The same with paths made absolute from `folder`."""
        found: dict[str, object] = {
            name: folder / path
            for name in ("ca", "certificate", "certificate_key")
            if (path := getattr(self, name)) is not None
        }
        if self.authorization is not None and self.authorization.startswith("file:"):
            found["authorization"] = f"file:{folder / self.authorization.removeprefix('file:')}"
        return self.model_copy(update=found)


def check_url(url: str) -> str:
    """The base URL without a slash at its end.

    Raises:
        ValueError: it is no URL of a service, or would send questions over the network in the clear.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError(f"{url}: give https://host[:port]")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError(f"{url}: give https://; plain HTTP is for this machine only")
    if parts.query or parts.fragment or parts.username:
        raise ValueError("a service's URL has a host and a path, nothing else")
    return url.rstrip("/")
