"""The job as a data team runs it: a command, an S3 server, Ray; killed at any moment, it harms nothing and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import psutil
import pytest

from index_builder.build import BuildReport, build_release
from index_builder.settings import JobSettings, ModelSettings
from index_builder.work import WorkArea
from lineside.encoders import Runtime
from lineside.objects import open_store
from lineside.releases import Catalogue
from lineside.runs import Run, read_errors
from tests.index_builder.conftest import write_plant
from tests.index_builder.cut_line import CutLine
from tests.s3_server import S3Server

pytestmark = [pytest.mark.integration, pytest.mark.slow]

WAIT_S = 240


class Site:
    """A bucket with a source and a store, reached over a line that can be cut, and the command."""

    def __init__(self, folder: Path, server: S3Server, models: Path, joint: Path) -> None:
        self.folder = folder
        parts = urlsplit(server.endpoint)
        self.line = CutLine(str(parts.hostname), int(parts.port or 0))
        self.environment = {**server.environment, "AWS_ENDPOINT_URL": self.line.url}
        bucket = server.create_bucket()
        self.source, self.store = f"{bucket}/source", f"{bucket}/store"
        self.text = ModelSettings(folder=models / "minilm", runtime=Runtime())
        self.joint = ModelSettings(folder=joint, runtime=Runtime())
        self._s3 = boto3.client("s3", endpoint_url=server.endpoint, region_name="us-east-1")
        self._bucket = urlsplit(bucket).netloc
        self.local = write_plant(folder / "source")
        for number in range(8):
            text = "".join(f"## Step {n}\n\nValve {number}-{n} is opened by {n} turns.\n\n" for n in range(30))
            (self.local / "drive" / f"valves-{number}.md").write_text(f"# Valves {number}\n\n{text}")
        self.fill()

    def fill(self) -> None:
        for path in sorted(self.local.rglob("*")):
            if path.is_file():
                self.put(path.relative_to(self.local).as_posix(), path.read_bytes())

    def put(self, path: str, data: bytes) -> None:
        self._s3.put_object(Bucket=self._bucket, Key=f"source/{path}", Body=data)

    def delete(self, path: str) -> None:
        self._s3.delete_object(Bucket=self._bucket, Key=f"source/{path}")

    def start(self, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "index_builder.command", self.source, "--store", self.store, "--json"]
        command += ["--text-model", str(self.text.folder), "--joint-model", str(self.joint.folder), "--cpus", "2"]
        command += ["--task-files", "4", "--task-texts", "64", *options]
        log = (self.folder / "job.log").open("a")
        return subprocess.Popen(
            command,
            env={**os.environ, **self.environment, "RAY_ADDRESS": ""},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )

    def run(self, *options: str) -> Run:
        process = self.start(*options)
        out, _ = process.communicate(timeout=WAIT_S)
        assert process.returncode == 0, (self.folder / "job.log").read_text()
        return Run.model_validate_json(out)

    def build(self) -> BuildReport:
        """The same job in this process, for what is not about Ray: a start of Ray costs more than such a build."""
        return build_release(self.source, Catalogue(self.store), self.text, self.joint, isolated=False)

    def current(self) -> int:
        return Catalogue(self.store).current().number

    def vectors(self) -> Counter[bytes]:
        """How often each text and image stands in the store."""
        work = WorkArea(self.settings, self.source)
        work.refresh_vectors()
        found: Counter[bytes] = Counter()
        for name, space in work.spaces.items():
            for table in space.segments.tables(space.names).values():
                found.update(name.encode() + key for key in table.column("key").to_pylist())
        return found

    @property
    def settings(self) -> JobSettings:
        return JobSettings(source=self.source, store=self.store, text=self.text, joint=self.joint)

    def expected(self) -> dict[str, str]:
        """Shards of a build in this process, from a folder with the same files."""
        report = build_release(self.local, Catalogue(self.folder / "expected"), self.text, self.joint, isolated=False)
        return {shard.family: shard.id for shard in report.release.shards}

    def shards(self) -> dict[str, str]:
        return {shard.family: shard.id for shard in Catalogue(self.store).current().shards}


@pytest.fixture
def site(
    tmp_path: Path, s3_server: S3Server, models_dir: Path, joint: ModelSettings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    made = Site(tmp_path, s3_server, models_dir, joint.folder)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    yield made
    made.line.close()


@pytest.mark.timeout(900)
def test_a_bucket_becomes_a_release_and_a_change_costs_its_family(site: Site) -> None:
    site.put("../../x.md", b"# Outside\n\nText.")
    first = site.run()
    assert (first.state, first.release, first.counts.failed) == ("done", 1, 1)
    (error,) = read_errors(open_store(site.store), first.id).errors
    assert error.path == "../../x.md"
    assert "rename the object" in str(error)
    assert site.shards() == site.expected()

    site.put("pump/manual.md", b"# Pump manual\n\nThe impeller is changed yearly.")
    site.delete("frames/pump/cam1-5.png")
    second = site.run()
    assert (second.release, second.counts.parsed, second.counts.shards_built) == (2, 1, 1)
    assert second.counts.frames == first.counts.frames - 1
    assert second.counts.vectors_made <= 4


@pytest.mark.timeout(1200)
def test_killed_at_any_moment_the_release_stays_and_the_next_run_ends_the_work(site: Site) -> None:
    site.build()
    first = site.shards()
    for path in sorted((site.local / "drive").glob("valves-*.md")):
        path.write_text(path.read_text().replace("turns", "half turns"))
    site.fill()
    # What the job is about to write to the store when it is killed: files parsed, vectors made, a shard, the release.
    moments = ["work/parsed/", "work/vectors/", "shards/", "releases/", r"current\.json"]
    if "LINESIDE_KILL_ROUNDS" not in os.environ:  # every round costs most of a minute
        moments = ["work/vectors/", r"current\.json"]
    for moment in moments:
        site.line.hold(rf"PUT [^ ?]*/store/{moment}")
        process = site.start()
        assert site.line.held.wait(WAIT_S), f"nothing was written to {moment}"
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        site.line.drop_held()
        assert site.current() == 1
        assert site.shards() == first
    last = site.run()
    assert last.release is not None
    assert last.release > 1
    assert (last.counts.parsed, last.counts.vectors_made) == (0, 0), "work that had been done was done again"
    assert site.shards() == site.expected()
    assert set(site.vectors().values()) == {1}, "something was encoded and stored twice"


@pytest.mark.timeout(600)
def test_a_worker_that_is_killed_is_replaced(site: Site) -> None:
    site.line.hold(r"PUT [^ ?]*/vectors/")
    process = site.start()
    assert site.line.held.wait(WAIT_S), (site.folder / "job.log").read_text()
    workers = [p for p in psutil.Process(process.pid).children(recursive=True) if "_StageActor" in _name(p)]
    assert workers
    workers[0].kill()
    site.line.drop_held()
    out, _ = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, (site.folder / "job.log").read_text()
    assert json.loads(out)["state"] == "done"
    assert site.shards() == site.expected()
    assert set(site.vectors().values()) == {1}


@pytest.mark.timeout(900)
def test_an_outage_of_the_store_ends_the_run_and_harms_nothing(site: Site) -> None:
    site.build()
    first = site.shards()
    for path in sorted((site.local / "drive").glob("valves-*.md")):
        path.write_text(path.read_text().replace("turns", "full turns"))
    site.fill()
    site.line.hold(r"PUT [^ ?]*/parsed/")
    process = site.start()
    assert site.line.held.wait(WAIT_S), (site.folder / "job.log").read_text()
    site.line.cut()
    site.line.drop_held()
    process.communicate(timeout=WAIT_S)
    assert process.returncode == 1
    said = (site.folder / "job.log").read_text()
    assert "cannot be used" in said or "cannot be listed" in said
    assert "Traceback" not in said
    site.line.mend()
    assert site.shards() == first
    assert site.build().release.number == 2
    assert site.shards() == site.expected()
    assert set(site.vectors().values()) == {1}


def _name(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
