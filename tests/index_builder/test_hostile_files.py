"""Files that would stop a naive job: each is one row of the report that says what to do, and the rest is built."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pypdfium2
import pytest
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from index_builder import parser_process
from index_builder.build import BuildReport, build_release
from index_builder.parser_process import ParserDied, ParserProcess
from index_builder.settings import JobSettings, ModelSettings, ParserSettings
from index_builder.tasks import FileTask
from lineside.releases import Catalogue
from lineside.runs import FileError
from tests.index_builder.conftest import Plant

GIB = 2**30


def a_pdf(pages: int = 1, encryption: StandardEncryption | None = None) -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, encrypt=encryption, pageCompression=0)
    for number in range(pages):
        canvas.drawString(72, 700, f"Page {number + 1}: grease the bearing.")
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def ten_thousand_pages() -> bytes:
    document = pypdfium2.PdfDocument.new()
    for _ in range(10_000):
        document.new_page(200, 200)
    buffer = io.BytesIO()
    document.save(buffer)
    document.close()
    return buffer.getvalue()


def a_bomb() -> bytes:
    """A DOCX of 1 MB whose body unpacks to 1 GiB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("word/document.xml", "w") as part:
        for _ in range(64):
            part.write(b" " * (GIB // 64))
    return buffer.getvalue()


def error_of(report: BuildReport, path: str) -> FileError:
    (found,) = [error for error in report.errors if error.path == path]
    assert found.advice, f"{found} does not say what to do"
    return found


@pytest.fixture(scope="module")
def pages() -> bytes:
    return ten_thousand_pages()


@pytest.mark.slow
def test_hostile_files_cost_a_row_each(plant: Plant, pages: bytes) -> None:
    press = plant.source / "press"
    press.mkdir()
    with (press / "huge.txt").open("wb") as stream:
        stream.truncate(5 * GIB)  # sparse: reading it would take 5 GiB of memory
    (press / "bomb.docx").write_bytes(a_bomb())
    (press / "secret.pdf").write_bytes(a_pdf(encryption=StandardEncryption("user", "owner")))
    (press / "cut.pdf").write_bytes(a_pdf(3)[:700])
    (press / "long.pdf").write_bytes(pages)
    (press / "latin.txt").write_bytes(bytes(range(0x80, 0x100)) * 20)
    (press / "binary.txt").write_bytes(b"\x00\x01\x02text\x03" * 100)
    os.symlink("/etc/hostname", press / "outside.txt")
    (press / "good.txt").write_text("The press is oiled daily.\n")
    report = plant.build(isolated=True)
    assert error_of(report, "press/huge.txt").reason == f"has {5 * GIB} bytes, over the limit of {128 * 2**20}"
    assert "unpacks to" in error_of(report, "press/bomb.docx").reason
    assert error_of(report, "press/secret.pdf").reason == "is encrypted"
    assert "damaged or cut short" in error_of(report, "press/cut.pdf").reason
    assert error_of(report, "press/long.pdf").reason == "has 10000 pages, over the limit of 5000"
    assert "UTF-8" in str(error_of(report, "press/latin.txt"))
    assert "control bytes" in error_of(report, "press/binary.txt").reason
    assert "leads outside" in error_of(report, "press/outside.txt").reason
    assert len(report.errors) == 8
    assert {shard.family for shard in report.release.shards} == {"drive", "press", "pump"}


@pytest.fixture
def settings(tmp_path: Path, models_dir: Path) -> JobSettings:
    (tmp_path / "source").mkdir()
    return JobSettings(
        source=str(tmp_path / "source"),
        store=str(tmp_path / "store"),
        text=ModelSettings(folder=models_dir / "minilm"),
        parser=ParserSettings(time_limit_s=3, memory_limit_mib=1_024),
    )


def misbehave(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str) -> None:
    """Makes the parser of the next process run `code` for every file named bad.txt."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'index_builder.parser_process' in ' '.join(sys.orig_argv):\n"
        "    import index_builder.parsing as p\n"
        "    right = p.parse\n"
        "    def parse(source, **more):\n"
        "        if source.path == 'bad.txt':\n"
        f"            {code}\n"
        "        return right(source, **more)\n"
        "    p.parse = parse\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(Path.cwd())]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import time; time.sleep(60)", "took longer than 3 s: split it"),
        ("import re; re.match('(a|a)*b', 'a' * 64)", "took longer than 3 s: split it"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "broke the parser \\(SIGSEGV\\): export"),
        ("import os; os._exit(3)", "exit status 3"),
        ("bytearray(2 << 30)", "needs more than 1024 MiB to parse: split it"),
    ],
)
def test_a_parser_that_hangs_breaks_or_takes_all_memory_costs_one_file(
    code: str, message: str, settings: JobSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "source" / "bad.txt").write_text("bad")
    (tmp_path / "source" / "good.txt").write_text("Grease the bearing.")
    misbehave(monkeypatch, tmp_path, code)
    process = ParserProcess(settings)
    try:
        with pytest.raises(ParserDied, match=message):
            process.parse(FileTask(path="bad.txt"), "maker")
        assert process.parse(FileTask(path="good.txt"), "maker").row["passages"] == 1
    finally:
        process.stop()


@pytest.mark.slow
def test_a_file_that_timed_out_is_a_row_and_is_tried_again_by_the_next_run(
    settings: JobSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plant: Plant
) -> None:
    plant.joint = None
    (plant.source / "bad.txt").write_text("The oil is changed yearly.")
    monkeypatch.setattr(
        parser_process.ParserProcess,
        "parse",
        lambda self, task, maker: (
            (_ for _ in ()).throw(ParserDied("took longer than 3 s: split it"))
            if task.path == "bad.txt"
            else _REAL(self, task, maker)
        ),
    )
    report = plant.build(isolated=True)
    assert [str(error) for error in report.errors] == ["bad.txt: took longer than 3 s: split it"]
    monkeypatch.undo()
    again = build_release(
        plant.source, Catalogue(plant.store), plant.text, None, encoders=plant.encoders, isolated=False
    )
    assert (again.errors, again.counts.parsed, again.is_new) == ((), 1, True)


_REAL = parser_process.ParserProcess.parse


def test_a_bad_file_is_not_parsed_again_until_it_changes(plant: Plant) -> None:
    (plant.source / "pump" / "broken.pdf").write_bytes(b"%PDF-1.7 this is no PDF")
    first, second = plant.build(), plant.build()
    assert first.errors == second.errors != ()
    assert second.counts.parsed == 0
    (plant.source / "pump" / "broken.pdf").unlink()
    assert plant.build().errors == ()


def test_an_error_message_falls_into_reason_and_advice() -> None:
    split = FileError.of("a/b.pdf", "a/b.pdf: is damaged (Failed: no xref): export it again")
    assert (split.path, split.reason, split.advice) == ("a/b.pdf", "is damaged (Failed: no xref)", "export it again")
    assert FileError.of("x", "is odd (see: there)").advice == ""
    assert str(split) == "a/b.pdf: is damaged (Failed: no xref): export it again"
