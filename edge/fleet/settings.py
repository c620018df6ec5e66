"""`fleet.yaml`: the gateways of a plant, what stands where, and how a release goes out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from edge.messaging.settings import MqttSettings
from edge.pieces.wrapping import check_public_key, check_report_key
from edge.trust.keyring import PUBLISHER
from edge.trust.records import Name
from edge.trust.staging import GATEWAYS_MAX
from lineside.errors import ConfigurationError

FLEET_BYTES_MAX: Final = 64 << 20
Wave = Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FleetGateway(_Section):
    """A gateway as the fleet knows it. `families` lists what it holds; without it, families are placed on it."""

    public_key: str = Field(description="as `lineside keys gateway` prints it")
    report_key: str | None = Field(None, description="likewise; reports in a store are believed by it")
    cell: Name | None = Field(None, description="where it stands; its replicas stand elsewhere")
    url: str = Field("", max_length=500, description="where neighbours and clients ask it")
    weight: float = Field(1, gt=0, le=1_000, description="its share of the families, beside others")
    memory_mib: float | None = Field(None, gt=0, description="for knowledge; families are placed up to it")
    families: tuple[Name, ...] | None = Field(None, max_length=10_000)
    version: str | None = Field(None, max_length=100, description="of the program it should run; the fleet's if absent")


class Camera(_Section):
    """A camera: its cell always has a gateway that holds its family."""

    cell: Name
    family: Name


class Family(_Section):
    """What is known of a family in advance."""

    size_mib: float | None = Field(None, gt=0, description="in memory; that of the release when absent")
    replication: int | None = Field(None, ge=1, le=100, description="the fleet's when absent")


class RolloutSettings(_Section):
    """How a publication goes out. Without this section every gateway takes each publication at once."""

    canaries: tuple[Name, ...] = Field((), description="the first wave; one gateway when empty")
    waves: tuple[Wave, ...] = Field(
        (0.1, 0.4), max_length=100, description="sizes of the next ones: counts, or shares of all; the rest follows"
    )
    soak_s: float = Field(300, ge=0, description="how long a wave must be well before the next one")
    max_failed: float = Field(0.02, ge=0, lt=1, description="share of a wave, rounded down, that may fail")
    wave_timeout_s: float = Field(3_600, gt=0, description="then who has not taken it is late, and who is silent left")
    late_fails: bool = Field(True, description="whether gateways that report, but are late, count as failed")
    silent_fails: bool = Field(False, description="whether gateways that do not report count as failed")
    report_stale_s: float = Field(300, gt=0, description="age at which a report counts as silence")
    look_s: float = Field(5, gt=0, description="seconds between looks at the reports")


class ReportsSettings(_Section):
    """Where reports come from: a broker, an object store (`reports/GATEWAY.json`, signed), or both."""

    mqtt: MqttSettings | None = Field(None, description="the broker lets a gateway write below its own name only")
    store: str | None = Field(None, description="folder or s3://bucket/prefix")


class FleetSettings(_Section):
    """`fleet.yaml`. The shortest one names gateways and their public keys."""

    gateways: dict[Name, FleetGateway] = Field(max_length=GATEWAYS_MAX)
    cells: tuple[Name, ...] | None = Field(None, description="where given, other names of cells are errors")
    cameras: dict[Name, Camera] = Field({}, max_length=GATEWAYS_MAX)
    families: dict[Name, Family] = Field({}, max_length=10_000)
    replication: int = Field(2, ge=1, le=100, description="gateways that hold a family")
    version: str | None = Field(None, max_length=100, description="of the program that gateways should run")
    rollout: RolloutSettings | None = None
    reports: ReportsSettings = ReportsSettings()

    @field_validator("gateways")
    @classmethod
    def _publisher_is_reserved(cls, gateways: dict[str, FleetGateway]) -> dict[str, FleetGateway]:
        if PUBLISHER in gateways:
            raise ValueError(f"no gateway can be named `{PUBLISHER}`")
        return gateways

    @model_validator(mode="after")
    def _names_are_known(self) -> FleetSettings:
        standing = {gateway.cell for gateway in self.gateways.values() if gateway.cell is not None}
        if self.cells is not None and (unknown := standing - set(self.cells)):
            raise ValueError(f"cell {min(unknown)} of a gateway is not among cells")
        for name, camera in self.cameras.items():
            if camera.cell not in standing:
                raise ValueError(f"camera {name} stands in cell {camera.cell}, where no gateway stands")
        for name in () if self.rollout is None else self.rollout.canaries:
            if name not in self.gateways:
                raise ValueError(f"canary {name} is not among gateways")
        return self

    @property
    def rollout_settings(self) -> RolloutSettings:
        """Those of `fleet.yaml`, or the usual ones."""
        return self.rollout or RolloutSettings()

    def replicas(self, family: str) -> int:
        """How many gateways should hold a family."""
        own = self.families.get(family, Family()).replication
        return self.replication if own is None else own


def read_fleet(path: Path) -> FleetSettings:
    """Raises ConfigurationError where the file cannot be used; the message says what to change."""
    try:
        if path.stat().st_size > FLEET_BYTES_MAX:
            raise ConfigurationError(f"{path} has more than {FLEET_BYTES_MAX} bytes")
        content = yaml.load(path.read_bytes(), _Loader)  # noqa: S506 - a safe loader
        fleet = FleetSettings.model_validate(content)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(map(str, problem["loc"]))
        raise ConfigurationError(f"{path}: {place + ': ' if place else ''}{problem['msg']}") from None
    for name, gateway in fleet.gateways.items():
        check_public_key(gateway.public_key, name)
        if gateway.report_key is not None:
            check_report_key(gateway.report_key, name)
    if fleet.reports.mqtt is None:
        return fleet
    reports = fleet.reports.model_copy(update={"mqtt": fleet.reports.mqtt.in_folder(path.parent)})
    return fleet.model_copy(update={"reports": reports})


class _Loader(yaml.SafeLoader):
    """Safe, and refuses a name that stands twice: of two gateways of one name one would be lost silently."""


def _mapping(loader: _Loader, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
    seen: set[object] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.MarkedYAMLError(problem=f"{key} stands here twice", problem_mark=key_node.start_mark)
        seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
