"""Runs the re-index job on the cluster for HTTP: one detached actor at a time, which the application does not own.

The actor starts the same command that a person would, as a process of its own: a restart of the application does not
end it, and what it does is read from its record in the store.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ray

from deployments.settings import ApplicationSettings, ReindexSettings
from lineside.errors import Conflict
from lineside.objects import ObjectStore, open_store
from lineside.runs import ErrorReport, Run, new_run_id, read_errors, read_run, runs, write_run

_ACTOR = "lineside-reindex"
_NAMESPACE = "lineside"


class ClusterReindexing:
    """Implements `webapi.reindex.Reindexing` on the cluster that the application runs on."""

    def __init__(self, settings: ApplicationSettings, reindex: ReindexSettings) -> None:
        self._settings = settings
        self._reindex = reindex
        self._store: ObjectStore = open_store(settings.store)

    @property
    def sources(self) -> Sequence[str]:
        return self._reindex.sources

    async def start(self, source: str, note: str) -> Run:
        """The actor's name is the lock: the cluster gives it once, whichever ingress asks."""
        now = datetime.now(UTC)
        run = Run(id=new_run_id(now), source=source, started=now, updated=now)
        return await asyncio.to_thread(self._start, run, note)

    async def run(self, run_id: str) -> Run:
        return await asyncio.to_thread(read_run, self._store, run_id)

    async def errors(self, run_id: str) -> ErrorReport:
        return await asyncio.to_thread(read_errors, self._store, run_id)

    async def latest(self, count: int) -> list[Run]:
        return await asyncio.to_thread(runs, self._store, count)

    def _start(self, run: Run, note: str) -> Run:
        actor: Any = ray.remote(_Job)
        try:
            job = actor.options(
                name=_ACTOR, namespace=_NAMESPACE, lifetime="detached", num_cpus=0, max_restarts=0
            ).remote()
        except ValueError:  # what Ray raises for a name that is taken
            busy = next((r for r in runs(self._store, 5) if r.state not in ("done", "failed", "cancelled")), None)
            raise Conflict(
                f"a re-index is under way{f' ({busy.id})' if busy else ''}: wait for it, then ask again"
            ) from None
        write_run(self._store, run)
        job.work.remote(self._command(run, note), self._settings.store, run.id)
        return run

    def _command(self, run: Run, note: str) -> list[str]:
        settings, reindex = self._settings, self._reindex
        command = [sys.executable, "-m", "index_builder.command", run.source, "--store", settings.store]
        command += [
            "--text-model",
            str(settings.text_encoder.model),
            "--joint-model",
            str(settings.joint_encoder.model),
        ]
        command += ["--run-id", run.id, "--note", note, "--json"]
        command += ["--promote" if reindex.promote else "--no-promote"]
        if reindex.keep_other_families:
            command.append("--keep-other-families")
        return command


class _Job:
    """Exists while a run does."""

    def work(self, command: list[str], store: str, run_id: str) -> None:
        """Runs the command to its end; a run that ended without saying so is marked as failed."""
        environment = {
            **os.environ,
            "RAY_ADDRESS": ray.get_runtime_context().gcs_address,
            "PYTHONPATH": os.pathsep.join(
                filter(None, [str(Path(__file__).resolve().parent.parent), os.environ.get("PYTHONPATH", "")])
            ),
        }
        done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        opened = open_store(store)
        run = read_run(opened, run_id)
        if run.state not in ("done", "failed", "cancelled"):
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            run.state = "failed"
            run.message = f"the job ended with status {done.returncode}: {said[-1] if said else 'it said nothing'}"
            run.updated = datetime.now(UTC)
            write_run(opened, run)
        ray.actor.exit_actor()
