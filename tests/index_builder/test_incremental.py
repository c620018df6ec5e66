"""A second run costs what changed: nothing is parsed, encoded or built again that stayed as it was."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import BaseModel

from index_builder import job as job_module
from index_builder.build import BuildReport
from index_builder.encode import Encoders
from index_builder.executors import LocalExecutor
from index_builder.job import Reindex
from index_builder.progress import Progress, Silent
from index_builder.settings import BuildSettings, JobSettings
from index_builder.tasks import Stage
from index_builder.work import WorkArea
from lineside.errors import NotFound, ShardError, StoreUnavailable
from lineside.objects import FolderStore
from lineside.runs import Run, new_run_id, read_run
from tests.index_builder.conftest import DRIVE, Plant, picture


def ids(report: BuildReport) -> dict[str, str]:
    return {shard.family: shard.id for shard in report.release.shards}


def fresh(plant: Plant, folder: Path) -> dict[str, str]:
    """Shards of a build that knows nothing of earlier ones."""
    return ids(replace(plant, store=folder).build())


def test_nothing_is_done_again_when_nothing_changed(plant: Plant) -> None:
    first = plant.build()
    plant.encoders.seen.clear()
    again = plant.build()
    assert (again.is_new, again.release) == (False, first.release)
    assert (again.counts.parsed, again.counts.vectors_made, again.counts.shards_built) == (0, 0, 0)
    assert (again.counts.unchanged, again.counts.shards_kept) == (8, 2)
    assert not plant.encoders.seen


def test_a_change_costs_its_file_its_texts_and_its_family(plant: Plant, tmp_path: Path) -> None:
    first = plant.build()
    (plant.source / "drive" / "manual.md").write_text(DRIVE.replace("95", "90"), encoding="utf-8")
    plant.encoders.seen.clear()
    second = plant.build()
    assert (second.counts.parsed, second.counts.shards_built, second.counts.shards_kept) == (1, 1, 1)
    assert {text for _, text in plant.encoders.seen if "2000 h" in str(text)} == {
        "Drive manual > Bearing temperature\nThe bearing alarm is raised at 90 °C. Grease the bearing every 2000 h."
    }
    assert ids(second)["pump"] == ids(first)["pump"]
    assert ids(second) == fresh(plant, tmp_path / "elsewhere")


def test_a_known_question_costs_its_own_text_and_its_family(plant: Plant, tmp_path: Path) -> None:
    first = plant.build()
    asked = plant.source / "pump" / "asked.questions.jsonl"
    asked.write_text('{"question": "How heavy is the seal kit?", "answered": false}\n', encoding="utf-8")
    second = plant.build()
    assert (second.counts.known_questions, second.counts.parsed, second.counts.vectors_made) == (1, 1, 1)
    assert (second.counts.shards_built, second.counts.shards_kept) == (1, 1)
    assert ids(second)["drive"] == ids(first)["drive"]
    assert ids(second) == fresh(plant, tmp_path / "elsewhere")
    asked.unlink()
    assert ids(plant.build()) == ids(first)


def test_known_questions_about_nothing_are_left_out_and_named(plant: Plant) -> None:
    (plant.source / "crane").mkdir()
    asked = plant.source / "crane" / "asked.questions.jsonl"
    asked.write_text('{"question": "How heavy is the hook?", "answered": false}\n', encoding="utf-8")
    report = plant.build()
    assert sorted(ids(report)) == ["drive", "pump"]
    (warning,) = report.warnings
    assert warning.path == "crane/asked.questions.jsonl"
    assert "crane has no documents to answer from" in str(warning)


def test_a_changed_image_changes_the_document_that_links_to_it(plant: Plant, tmp_path: Path) -> None:
    plant.build()
    picture(99).save(plant.source / "pump" / "seal.png")
    second = plant.build()
    assert (second.counts.parsed, second.counts.vectors_made) == (1, 1)
    assert ids(second) == fresh(plant, tmp_path / "elsewhere")


def test_an_image_that_was_missing_is_taken_up_when_it_comes(plant: Plant) -> None:
    image = plant.source / "pump" / "seal.png"
    kept = image.read_bytes()
    image.unlink()
    assert plant.build().counts.figures == 0
    image.write_bytes(kept)
    assert plant.build().counts.figures == 1


def test_a_new_label_makes_its_frame_anew_and_encodes_no_image(plant: Plant) -> None:
    plant.build()
    labels = plant.source / "frames" / "pump" / "labels.csv"
    labels.write_text(labels.read_text().replace("cam1-0.png,dry", "cam1-0.png,leak"))
    plant.encoders.seen.clear()
    second = plant.build()
    assert (second.counts.parsed, second.counts.shards_built) == (1, 1)
    assert not [kind for kind, _ in plant.encoders.seen if kind == "image"]


def test_what_was_deleted_is_gone_and_a_family_without_files_too(plant: Plant, tmp_path: Path) -> None:
    plant.build()
    (plant.source / "frames" / "pump" / "cam1-3.png").unlink()
    shutil.rmtree(plant.source / "drive")
    second = plant.build()
    assert second.counts.frames == 5
    assert [*ids(second)] == ["pump"]
    assert ids(second) == fresh(plant, tmp_path / "elsewhere")


def test_a_file_that_moves_is_parsed_but_its_texts_are_known(plant: Plant) -> None:
    plant.build()
    (plant.source / "drive" / "manual.md").rename(plant.source / "drive" / "guide.md")
    second = plant.build()
    assert (second.counts.parsed, second.counts.vectors_made) == (1, 0)
    assert second.is_new


def test_other_chunks_or_families_make_everything_anew_but_known_texts(plant: Plant) -> None:
    plant.build()
    plant.settings = BuildSettings(family_rules={"drive/*": "motor"})
    second = plant.build()
    assert (second.counts.parsed, second.counts.vectors_made) == (8, 0)
    assert [*ids(second)] == ["motor", "pump"]


@pytest.mark.parametrize("stage", ["parse", "embed", "build"])
def test_a_run_that_ends_anywhere_goes_on_from_there(
    stage: str, plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of a stage's tasks are done when the job breaks."""
    run_tasks = LocalExecutor.run

    def breaking(self: LocalExecutor, name: Stage, tasks: Sequence[BaseModel]) -> Iterator[BaseModel]:
        for number, outcome in enumerate(run_tasks(self, name, tasks)):
            if name == stage and number == max(0, len(tasks) // 2 - 1):
                raise StoreUnavailable("the line is cut")
            yield outcome

    settings = plant.job(task_files=2, task_texts=4)
    executor = LocalExecutor(settings, isolated=False, encoders=plant.encoders)
    monkeypatch.setattr(LocalExecutor, "run", breaking)
    with pytest.raises(StoreUnavailable):
        run(plant, executor, settings)
    monkeypatch.undo()
    with pytest.raises(NotFound):
        plant.catalogue.current()
    finished = plant.build()
    assert finished.is_new
    assert set(plant.encoders.seen.values()) == {1}, "something was encoded twice"
    assert ids(finished) == fresh(plant, tmp_path / "elsewhere")


def run(plant: Plant, executor: LocalExecutor, settings: JobSettings) -> Run:
    now = datetime.now(UTC)
    record = Run(id=new_run_id(), source=settings.source, started=now, updated=now)
    with Progress(plant.catalogue.store, record, Silent()) as progress:
        Reindex(settings, executor, progress).run()
    return record


def test_damaged_work_is_made_again(plant: Plant) -> None:
    first = plant.build()
    work = WorkArea(plant.job(), str(plant.source))
    for segments in (work.parsed, work.text.segments):
        for name in segments.names():
            segments.forget_all_but([])
            path = plant.store / segments.prefix / f"{name}.arrow"
            path.write_bytes(path.read_bytes()[:-40] + b"x" * 40)
    second = plant.build()
    assert ids(second) == ids(first)


def test_many_small_runs_leave_few_files_and_no_garbage(plant: Plant) -> None:
    plant.build()
    for limit in range(40, 70):
        (plant.source / "drive" / "manual.md").write_text(DRIVE.replace("95", str(limit)), encoding="utf-8")
        report = plant.build()
    work = WorkArea(plant.job(), str(plant.source))
    assert len(work.parsed.names()) <= 25
    work.refresh_vectors()
    assert len(work.text.names) <= 25
    assert not work.images.names()
    plant.encoders.seen.clear()
    assert not plant.build().is_new
    assert not plant.encoders.seen
    assert report.counts.parsed == 1


def test_a_failed_run_says_so_in_its_record(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_module, "publish", refuse)
    with pytest.raises(ShardError):
        plant.build()
    store = FolderStore(plant.store)
    (key,) = [i.key for i in store.list("work/runs/") if not i.key.endswith("-errors.json")]
    record = read_run(store, key.removeprefix("work/runs/").removesuffix(".json"))
    assert (record.state, record.message) == ("failed", "no")


def refuse(*args: object, **kwargs: object) -> None:
    raise ShardError("no")


def test_the_models_are_not_loaded_when_nothing_is_to_be_encoded(plant: Plant) -> None:
    plant.build()
    plant.encoders = Encoders(plant.job())  # type: ignore[assignment]
    assert not plant.build().is_new
    assert plant.encoders._text is None
