"""Composes the application: `import_path: deployments.app:build` in serve_config.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray.serve import Application

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
    return Ingress.bind(  # type: ignore[no-any-return]
        settings,
        VisionEncoder.bind(joint, settings.http.image),
        TextEncoder.bind(text, joint),
        Retriever.bind(settings.store, settings.search, text, joint, inside),
        Generator.bind(settings.generator) if settings.generator.engine != "none" else None,
    )
