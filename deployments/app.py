"""Composes the application: `import_path: deployments.app:build` in serve_config.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray.serve import Application, Deployment

from deployments.generator import Generator
from deployments.ingress import Ingress
from deployments.retriever import Retriever
from deployments.settings import load_settings
from deployments.text_encoder import TextEncoder
from deployments.vision_encoder import VisionEncoder


def build(args: dict[str, Any]) -> Application:
    """The application graph from `args:`; replicas, resources and autoscaling come from `deployments:`.

    Raises:
        ConfigurationError: the settings cannot work; nothing has been started then.
    """
    settings = load_settings(args, Path.cwd())
    text, joint = settings.text_encoder, settings.joint_encoder
    inside = settings.placement.text_encoder == "retriever"
    graph: Application = _declared(Ingress).bind(
        settings,
        _declared(VisionEncoder).bind(joint, settings.http.image),
        _declared(TextEncoder).bind(text, joint),
        _declared(Retriever).bind(settings.store, settings.cache, settings.search, text, joint, inside),
        _declared(Generator).bind(settings.generator) if settings.generator.engine != "none" else None,
    )
    return graph


def _declared(deployment: object) -> Deployment:
    """A decorated class as what `serve.deployment` has made of it; type checkers still see the class."""
    assert isinstance(deployment, Deployment)
    return deployment
