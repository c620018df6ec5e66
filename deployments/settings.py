"""`args:` of serve_config.yaml, validated before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lineside.answering.settings import AnsweringSettings
from lineside.encoders import Runtime
from lineside.errors import ConfigurationError
from lineside.generation.llamacpp import LlamaCppSettings
from lineside.generation.vllm import VllmSettings
from lineside.releases.settings import CacheSettings
from lineside.search import SearchSettings
from webapi.settings import HttpSettings


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EncoderSettings(_Settings):
    """A model folder and how it runs."""

    model: Path
    runtime: Runtime = Runtime()


class PlacementSettings(_Settings):
    """Where a stage runs: in a deployment of its own, or inside its caller."""

    text_encoder: Literal["deployment", "retriever"] = Field(
        "retriever",
        description="retriever: a question is encoded where it is searched, one hop less; "
        "deployment: TextEncoder scales by itself",
    )
    retriever: Literal["deployment", "ingress"] = Field(
        "deployment",
        description="ingress: a question is searched in the process that received it, one hop less; "
        "deployment: Retriever scales by itself",
    )


class GeneratorSettings(_Settings):
    """The language model; only the chosen engine's block is read."""

    engine: Literal["vllm", "llamacpp", "none"] = "vllm"
    vllm: VllmSettings | None = None
    llamacpp: LlamaCppSettings | None = None

    @model_validator(mode="after")
    def _block_of_engine(self) -> GeneratorSettings:
        if self.engine != "none" and getattr(self, self.engine) is None:
            raise ValueError(f"engine is {self.engine}, so a block named {self.engine} must say which model it runs")
        return self


class ReindexSettings(_Settings):
    """What may be indexed by `POST /v1/reindex`, into the service's own store."""

    sources: tuple[str, ...] = Field(min_length=1, description="folders or s3://bucket/prefix; no others are accepted")
    promote: bool = Field(True, description="make the release current; else a person does (`lineside releases`)")
    keep_other_families: bool = Field(False, description="leave families that the source lacks as they are")


class ApplicationSettings(_Settings):
    """The whole application. Relative paths count from `home`; `home` itself from the working directory."""

    home: Path = Field(Path(".lineside"), description="folder that relative paths below count from")
    store: str = Field("store", description="catalogue of releases: a folder, or s3://bucket/prefix")
    cache: CacheSettings = CacheSettings()
    text_encoder: EncoderSettings
    joint_encoder: EncoderSettings
    generator: GeneratorSettings = GeneratorSettings(engine="none")
    placement: PlacementSettings = PlacementSettings()
    search: SearchSettings = SearchSettings()
    answering: AnsweringSettings = AnsweringSettings()
    http: HttpSettings = HttpSettings()
    reindex: ReindexSettings | None = Field(None, description="None: re-indexing by HTTP is off")

    def located(self, base: Path) -> ApplicationSettings:
        """The same with every path absolute."""
        home = (base / self.home.expanduser()).absolute()
        changes: dict[str, Any] = {
            "home": home,
            "store": self.store if "://" in self.store else str(home / self.store),
            "cache": self.cache.model_copy(update={"folder": home / self.cache.folder}),
            "text_encoder": self.text_encoder.model_copy(update={"model": home / self.text_encoder.model}),
            "joint_encoder": self.joint_encoder.model_copy(update={"model": home / self.joint_encoder.model}),
        }
        if self.reindex is not None:
            sources = tuple(s if "://" in s else str(home / s) for s in self.reindex.sources)
            changes["reindex"] = self.reindex.model_copy(update={"sources": sources})
        generator = self.generator
        for name in ("vllm", "llamacpp"):
            block = getattr(generator, name)
            if block is not None:
                located = block.model_copy(update={"model": home / block.model})
                generator = generator.model_copy(update={name: located})
        return self.model_copy(update=changes | {"generator": generator})


def load_settings(args: dict[str, Any], base: Path) -> ApplicationSettings:
    """Validated settings with absolute paths that exist.

    Raises:
        ConfigurationError: an unknown key, a value out of bounds, or a model that is not there; all named at once.
    """
    try:
        settings = ApplicationSettings.model_validate(args).located(base)
    except ValidationError as error:
        problems = "\n".join(
            f"  {'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        )
        raise ConfigurationError(f"serve_config.yaml, args:\n{problems}") from None
    missing = [str(path) for path in _needed(settings) if not path.exists()]
    if missing:
        raise ConfigurationError(
            "not there: " + ", ".join(missing) + " (run `make setup`, or set args.home in serve_config.yaml)"
        )
    return settings


def _needed(settings: ApplicationSettings) -> list[Path]:
    needed = [settings.text_encoder.model, settings.joint_encoder.model]
    if "://" not in settings.store:
        needed.append(Path(settings.store) / "current.json")
    generator = settings.generator
    if generator.engine == "vllm" and generator.vllm:
        needed.append(generator.vllm.model)
    if generator.engine == "llamacpp" and generator.llamacpp:
        needed.append(generator.llamacpp.model)
    return needed


class BatchLimits(_Settings):
    """`user_config` of VisionEncoder and TextEncoder: changes without a restart."""

    max_batch: int = Field(32, ge=1, le=1_024, description="most items in one forward pass")


class RetrieverLimits(_Settings):
    """`user_config` of Retriever: changes without a restart."""

    max_batch: int = Field(32, ge=1, le=1_024, description="most questions searched together")
    poll_s: float = Field(2.0, ge=0.1, le=3_600, description="how often the current release is looked up")
    release: int | None = Field(None, ge=1, description="serve this release; null follows the current one")


def read_user_config(model: type[_Settings], config: dict[str, Any]) -> Any:
    """Raises ConfigurationError where `user_config` does not fit the model."""
    try:
        return model.model_validate(config or {})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors(include_url=False))
        raise ConfigurationError(f"user_config: {problems}") from None
