"""What every replica's process does first."""

from __future__ import annotations

import logging
import os

import structlog


def start_process() -> None:
    """Structured events into Serve's own log, and no look-ups of models on the network."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Events become attributes of a log record, which Serve's JSON formatter writes with replica and application.
    serve_log, own_log = logging.getLogger("ray.serve"), logging.getLogger("lineside")
    own_log.handlers, own_log.propagate = serve_log.handlers, False
    own_log.setLevel(logging.INFO)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.render_to_log_kwargs],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
