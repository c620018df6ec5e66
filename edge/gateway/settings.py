"""`gateway.yaml`: what a gateway holds and how it answers; a section for each part that can be left out."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge.gateway.reporting import ReportingSettings
from edge.messaging.settings import MqttSettings, OpcUaSettings
from edge.routing.settings import RoutingSettings
from edge.sync.settings import SyncSettings
from edge.window.settings import WindowSettings
from lineside.answering.settings import AnsweringSettings
from lineside.errors import ConfigurationError
from lineside.search.settings import SearchSettings
from webapi.settings import HttpSettings


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ServerSettings(_Settings):
    """Where the gateway listens, and what it lets in."""

    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 is every interface")
    port: int = Field(8080, ge=0, le=65_535, description="0: any free one, which the log names")
    limits: HttpSettings = HttpSettings(max_in_flight=64, reserved_for_alerts=8)
    drain_s: float = Field(5, ge=0, le=300, description="how long requests under way may take when it is stopped")


class EncoderSettings(_Settings):
    """The encoders of questions and frames: those that made the knowledge."""

    text: str = Field("encoders", description="sentence encoder: one of `models`, or a folder")
    joint: str | None = Field("encoders", description="of frames: one of `models`, or a folder; null: no frames")
    dtype: Literal["bfloat16", "float32", "int8"] = Field("bfloat16", description="precision; int8 is quicker")
    quick: bool = Field(False, description="int8 ones beside them, for a gateway that is hot or overloaded (`routing`)")
    threads: int = Field(1, ge=1, le=256, description="CPU threads of each encoder")
    max_batch: int = Field(16, ge=1, le=1_024, description="questions or frames encoded at once")


class WriterSettings(_Settings):
    """The language model. A small one: its prompt is made of the best sentences, not of whole passages."""

    model: str = Field("writer", description="one of `models`, or a .gguf file")
    threads: int = Field(2, ge=1, le=256)
    slots: int = Field(1, ge=1, le=16, description="replies written at the same time; more wait")
    max_tokens: int = Field(1_024, ge=256, le=131_072, description="prompt and reply together")
    prompt_sentences: int = Field(4, ge=1, le=20, description="sentences of the evidence that it is shown")
    prompt_chars: int = Field(900, ge=100, le=20_000, description="... and their characters together")


class GatewaySettings(SyncSettings):
    """Everything of a gateway. Relative paths belong to the folder of the file."""

    http: ServerSettings = ServerSettings()
    encoders: EncoderSettings | None = Field(None, description="needed to answer; not for `lineside edge sync`")
    writer: WriterSettings | None = Field(None, description="without it answers are quoted, not written")
    answering: AnsweringSettings = AnsweringSettings()
    search: SearchSettings = SearchSettings(verify=False)  # every byte was compared with the signed index just before
    routing: RoutingSettings | None = Field(None, description="whom else to ask; without it the gateway stands alone")
    window: WindowSettings | None = Field(None, description="the latest frames of the cameras; without it none is kept")
    mqtt: MqttSettings | None = Field(None, description="questions and frames in, answers and reports out")
    opcua: OpcUaSettings | None = Field(None, description="machines whose values go with questions about them")
    fleet: ReportingSettings | None = Field(None, description="reports in a store, for `lineside fleet`")

    def below(self, folder: Path) -> GatewaySettings:
        """The same with relative paths taken from `folder`."""

        def source(model: str) -> str:
            return model if model in self.models else str(folder / model)

        changed: dict[str, object] = {"state": folder / self.state, "root": folder / self.root}
        if self.ca is not None:
            changed["ca"] = folder / self.ca
        if self.encoders is not None:
            joint = None if self.encoders.joint is None else source(self.encoders.joint)
            changed["encoders"] = self.encoders.model_copy(update={"text": source(self.encoders.text), "joint": joint})
        if self.writer is not None:
            changed["writer"] = self.writer.model_copy(update={"model": source(self.writer.model)})
        if self.routing is not None:
            changed["routing"] = self.routing.below(folder)
        if self.mqtt is not None:
            changed["mqtt"] = self.mqtt.in_folder(folder)
        if self.opcua is not None:
            changed["opcua"] = self.opcua.in_folder(folder)
        return self.model_copy(update=changed)


def read_gateway(path: Path) -> GatewaySettings:
    """Reads `gateway.yaml`.

    Raises:
        ConfigurationError: it cannot be read, or a value cannot work.
    """
    try:
        settings = GatewaySettings.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise ConfigurationError(f"{path}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None
    return settings.below(path.parent.absolute())


def model_place(model: str, held: dict[str, Path]) -> Path:
    """Where a model lies: `held` has the folders of those that came with the release.

    Raises:
        ConfigurationError: nowhere.
    """
    place = held.get(model) or Path(model)
    if not place.exists():
        raise ConfigurationError(
            f"there is no model {model}: name it in `models`, so that it comes with the release, or give its path"
        )
    return place
