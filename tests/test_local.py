"""The application in one process: it answers with citations, and it never mixes vectors of different encoders."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from index_builder.build import build_release
from index_builder.settings import ModelSettings
from lineside.encoders import TextEncoder, load_text_encoder
from lineside.errors import ConfigurationError, NotFound
from lineside.local import LocalApplication
from lineside.local_stages import LocalEncoders
from lineside.releases import Catalogue
from lineside.schema import Answer, AnswerRequest
from tests.shards.knowledge import picture

PUMP = """# Rinse pump P-7

## Bearing limits

The bearing of the rinse pump may reach 82 °C. Above 90 °C the pump trips.

## Coupling

The coupling bolts of the rinse pump are tightened to 47 Nm.
"""
PRESS = """# Trim press T-2

## Oil change

The hydraulic oil of the trim press is changed every 3 000 hours.
"""


@pytest.fixture(scope="module")
def encoder(models_dir: Path) -> TextEncoder:
    return load_text_encoder(models_dir / "minilm")


@pytest.fixture(scope="module")
def catalogue(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    root = tmp_path_factory.mktemp("local")
    for family, text in (("pump", PUMP), ("press", PRESS)):
        (root / "source" / family).mkdir(parents=True)
        (root / "source" / family / "manual.md").write_text(text, encoding="utf-8")
    catalogue = Catalogue(root / "store")
    build_release(root / "source", catalogue, ModelSettings(folder=models_dir / "minilm"), None, isolated=False)
    return catalogue


@pytest.fixture
def application(catalogue: Catalogue, encoder: TextEncoder) -> Iterator[LocalApplication]:
    with LocalApplication(catalogue, encoder) as application:
        yield application


def ask(application: LocalApplication, question: str, image: bytes | None = None, **fields: Any) -> Answer:
    async def answered() -> Answer:
        request = AnswerRequest(question=question, mode="extract", **fields)
        deadline = application.answerer.deadline(request)
        return await application.answerer.answer(request, image, request_id="test", deadline=deadline)

    return asyncio.run(answered())


def test_an_answer_quotes_the_manual_and_its_citation_leads_there(application: LocalApplication) -> None:
    answer = ask(application, "What torque do the coupling bolts of the rinse pump get?")
    assert (answer.mode, answer.status) == ("extractive", "complete")
    assert "47 Nm" in answer.text
    evidence = answer.evidence[answer.sentences[0].citations[0].n - 1]
    document = application.index.document(evidence.document_id or "")
    assert document.text[evidence.start : evidence.end] == evidence.text
    assert evidence.section_path[-1] == "Coupling"


def test_a_family_restricts_what_is_searched(application: LocalApplication) -> None:
    answer = ask(application, "How hot may the bearing become?", family="press")
    assert {e.family for e in answer.evidence} <= {"press"}


def test_an_unknown_family_is_refused_with_those_that_exist(application: LocalApplication) -> None:
    with pytest.raises(NotFound, match=r"no family 'crane' .* press, pump"):
        ask(application, "How hot may the bearing become?", family="crane")


def test_an_image_without_an_image_encoder_is_left_out_and_the_answer_says_so(application: LocalApplication) -> None:
    answer = ask(application, "What torque do the coupling bolts of the rinse pump get?", picture(1))
    assert "47 Nm" in answer.text
    assert "encode_image" in {d.stage for d in answer.degraded}


def test_one_unknown_family_does_not_spoil_the_batch_it_came_in(application: LocalApplication) -> None:
    async def both() -> list[Answer | BaseException]:
        requests = [
            AnswerRequest(question="How often is the oil changed?", family=f, mode="extract")
            for f in ("press", "crane")
        ]
        pipeline = application.answerer
        return await asyncio.gather(
            *(pipeline.answer(r, None, request_id="b", deadline=pipeline.deadline(r)) for r in requests),
            return_exceptions=True,
        )

    good, bad = asyncio.run(both())
    assert isinstance(good, Answer)
    assert "3 000 hours" in good.text
    assert isinstance(bad, NotFound)


def test_encoders_that_did_not_make_the_release_are_refused(catalogue: Catalogue, models_dir: Path) -> None:
    other = load_text_encoder(models_dir / "minilm", max_tokens=64)
    with pytest.raises(ConfigurationError, match="was made with text encoder"):
        LocalApplication(catalogue, other)


def test_an_image_encoder_is_refused_where_the_release_has_no_image_vectors(application: LocalApplication) -> None:
    images: Any = SimpleNamespace()
    encoders = LocalEncoders(images, images, application._encoders.fingerprints | {"joint": "0123456789abcdef"})
    with pytest.raises(ConfigurationError, match=r"joint encoder \(none\)"):
        encoders.check(application.index)


def test_refresh_follows_the_catalogue_forward_and_back(
    application: LocalApplication, catalogue: Catalogue, models_dir: Path, tmp_path: Path
) -> None:
    first = application.index.release
    assert not application.refresh()
    (tmp_path / "pump").mkdir()
    (tmp_path / "pump" / "manual.md").write_text(PUMP.replace("47 Nm", "52 Nm"), encoding="utf-8")
    build_release(tmp_path, catalogue, ModelSettings(folder=models_dir / "minilm"), None, isolated=False)
    try:
        assert application.refresh()
        answer = ask(application, "What torque do the coupling bolts of the rinse pump get?")
        assert answer.release == first + 1
        assert "52 Nm" in answer.text
    finally:
        catalogue.activate(first)
    assert application.refresh()
    assert application.index.release == first


def test_an_empty_store_says_how_to_fill_it(tmp_path: Path, encoder: TextEncoder) -> None:
    with pytest.raises(NotFound, match="make knowledge"):
        LocalApplication(Catalogue(tmp_path), encoder)
