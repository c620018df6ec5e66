"""Loads the encoders of a gateway: the one place that knows how."""

from __future__ import annotations

from pathlib import Path

from edge.gateway.settings import EncoderSettings, model_place
from lineside.encoders import QuestionEncoder, load_joint_encoder, load_text_encoder
from lineside.encoders.images import ImageLimits
from lineside.encoders.settings import Dtype, Runtime
from lineside.local_stages import LocalEncoders

_KERNELS_KEPT = 1_000  # for some 140 shapes of batches: what more of them take in memory grew beyond a gateway's


def load_encoders(
    settings: EncoderSettings, models: dict[str, Path], limits: ImageLimits, dtype: Dtype
) -> LocalEncoders:
    """Loads and warms them; `models`: the folders of the models that came with the release.

    Exported encoders, both in one folder, need no torch and one graph for both vectors of a question.

    Raises:
        ConfigurationError: a model is missing, or is none of that kind.
        IntegrityError: a file is damaged.
    """
    runtime = Runtime(threads=settings.threads, dtype=dtype, kernels_kept=_KERNELS_KEPT)
    text = load_text_encoder(model_place(settings.text, models), runtime=runtime)
    joint = None if settings.joint is None else load_joint_encoder(model_place(settings.joint, models), runtime=runtime)
    fingerprints = {"text": text.fingerprint} | ({} if joint is None else {"joint": joint.fingerprint})
    encoders = LocalEncoders(
        QuestionEncoder(text, joint), joint, fingerprints, limits=limits, max_batch=settings.max_batch
    )
    encoders.warm_up()
    return encoders
