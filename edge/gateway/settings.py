"""`gateway.yaml`: what a gateway holds and how it answers; a section for each part that can be left out."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge.sync.settings import SyncSettings
from lineside.answering.settings import AnsweringSettings
from lineside.errors import ConfigurationError
from lineside.search.settings import SearchSettings
from webapi.settings import HttpSettings

_Section = TypeVar("_Section", bound=BaseModel)


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

    text: str = Field(description="sentence encoder: one of `models`, or a folder")
    joint: str | None = Field(None, description="encoder of frames: one of `models`, or a folder; none: no frames")
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
    folder = path.parent.absolute()
    settings = _absolute(settings, folder)
    encoders, writer = settings.encoders, settings.writer

    def source(model: str) -> str:
        return model if model in settings.models else str(folder / model)

    if encoders is not None:
        joint = None if encoders.joint is None else source(encoders.joint)
        encoders = encoders.model_copy(update={"text": source(encoders.text), "joint": joint})
    if writer is not None:
        writer = writer.model_copy(update={"model": source(writer.model)})
    return settings.model_copy(update={"encoders": encoders, "writer": writer})


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


def _absolute(section: _Section, folder: Path) -> _Section:
    """The same with every path below `folder`; absolute ones stay."""
    changed: dict[str, object] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Path):
            changed[name] = folder / value
        elif isinstance(value, BaseModel):
            changed[name] = _absolute(value, folder)
    return section.model_copy(update=changed)
