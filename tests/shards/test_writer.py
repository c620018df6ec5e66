from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lineside.errors import NotFound, ShardError
from lineside.shards import Shard, ShardSettings, VectorIndexSettings, sentence_spans, write_shard
from lineside.shards.rows import KINDS
from tests.shards.knowledge import Knowledge, drive, embed, manual, pump

WORDS = st.sampled_from(
    "bearing pump E-452 seal HX-200/A grease 95 alarm P-103 Ölstand 0.6 bar valve check the".split()
)
BODIES = st.lists(WORDS, min_size=1, max_size=12).map(lambda words: " ".join(words) + ".")
SECTIONS = st.dictionaries(st.text("abcdefg", min_size=1, max_size=6), BODIES, min_size=1, max_size=5)


@settings(max_examples=20)
@given(SECTIONS)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, sections: dict[str, str]) -> None:
    document, passages = manual("press", "generated", sections)
    shard = _open(tmp_path_factory.mktemp("shard"), Knowledge("press", (document,), passages))
    assert shard.document(document.id) == document
    for passage in passages:
        row = shard.row(shard.row_of(passage.id))
        assert (row["text"], row["start"], row["end"], row["page"]) == (
            passage.text,
            passage.start,
            passage.end,
            passage.page,
        )
        assert tuple(row["section_path"]) == passage.section_path


@settings(max_examples=8)
@given(st.integers(0, 1_000_000))
def test_the_order_of_the_input_does_not_change_the_id(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    root = tmp_path_factory.mktemp("shards")
    first = write_shard(root / "a", **drive().arguments())
    second = write_shard(root / "b", **drive().reordered(seed).arguments())
    assert first.id == second.id
    assert _content(first.path) == _content(second.path)


def test_known_questions_are_kept_in_order_each_once(tmp_path: Path) -> None:
    knowledge = drive()
    shard = _open(tmp_path / "a", replace(knowledge, known=(*knowledge.known[::-1], knowledge.known[0])))
    assert shard.known.texts.to_pylist() == ["How heavy is the bearing?", "How much grease for the bearing?"]
    assert shard.known.answered.tolist() == [False, True]
    assert np.abs(shard.known.vectors[0] - embed("How heavy is the bearing?")).max() < 1e-3
    assert shard.id == _open(tmp_path / "b", knowledge).id
    turned = tuple(q.model_copy(update={"answered": not q.answered}) for q in knowledge.known)
    assert shard.id != _open(tmp_path / "c", replace(knowledge, known=turned)).id


def test_a_shard_without_known_questions_has_no_file_for_them(tmp_path: Path) -> None:
    shard = _open(tmp_path, pump())
    assert len(shard.known) == 0
    assert shard.known.vectors.shape == (0, 32)
    assert not [name for name in shard.manifest.files if name.startswith("known")]


def test_known_questions_need_a_vector_each(tmp_path: Path) -> None:
    arguments = drive().arguments()
    vectors = replace(arguments["vectors"], known=None)
    with pytest.raises(ShardError, match="known questions"):
        write_shard(tmp_path, **{**arguments, "vectors": vectors})


def test_any_change_of_content_changes_the_id(tmp_path: Path) -> None:
    knowledge = pump()
    arguments = knowledge.arguments()
    ids = {write_shard(tmp_path, **arguments).id}
    shorter = replace(knowledge, passages=knowledge.passages[:-1])
    ids.add(write_shard(tmp_path, **shorter.arguments()).id)
    ids.add(write_shard(tmp_path, **{**arguments, "fingerprints": {"text": "another encoder"}}).id)
    turned = arguments["vectors"]
    ids.add(write_shard(tmp_path, **{**arguments, "vectors": replace(turned, text=-turned.text)}).id)
    assert len(ids) == 4


def test_every_vector_stays_with_its_row(tmp_path: Path) -> None:
    knowledge = drive().reordered(5)
    shard = _open(tmp_path, knowledge)
    for item in (*knowledge.figures, *knowledge.frames):
        row = shard.row_of(item.id)
        np.testing.assert_allclose(shard.text.reconstruct(np.array([row]))[0], embed(item.caption), atol=1e-6)
        joint = shard.joint.reconstruct(np.array([shard.joint_rows[row]]))[0]
        np.testing.assert_allclose(joint, embed(item.caption), atol=1e-6)
    for number, row in enumerate(shard.sentence_rows):
        text = shard.row(int(row))["text"][shard.sentence_starts[number] : shard.sentence_ends[number]]
        stored = shard.sentence_vectors[number] * np.float32(shard.sentence_scale)
        np.testing.assert_allclose(stored, embed(text), atol=shard.sentence_scale)


def test_rows_are_passages_then_figures_then_frames(tmp_path: Path) -> None:
    kinds = _open(tmp_path, drive()).rows.column("kind").to_pylist()
    assert kinds == sorted(kinds, key=KINDS.index)


def test_images_are_stored_small(tmp_path: Path) -> None:
    shard = _open(tmp_path, drive())
    stored = shard.image("drive-figure-1")
    assert stored.media_type == "image/webp"
    assert max(Image.open(io.BytesIO(stored.data)).size) == 640
    with pytest.raises(NotFound):
        shard.image(drive().passages[0].id)


def test_a_shard_without_images_or_joint_vectors_is_whole(tmp_path: Path) -> None:
    knowledge = pump()
    vectors = replace(knowledge.vectors(), joint=None, joint_rows=None)
    shard = Shard.open(write_shard(tmp_path, **{**knowledge.arguments(), "vectors": vectors}).path)
    assert shard.joint is None
    assert set(shard.joint_rows.tolist()) == {-1}


def test_writing_leaves_nothing_but_the_shard(tmp_path: Path) -> None:
    refs = [write_shard(tmp_path, **drive().arguments()) for _ in range(2)]
    assert [p.name for p in tmp_path.iterdir()] == [refs[0].id] == [refs[1].id]


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    broken = replace(drive(), figures=(drive().figures[0].model_copy(update={"image": b"no image"}),))
    with pytest.raises(ShardError, match="drive-figure-1"):
        write_shard(tmp_path, **broken.arguments())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": np.zeros((3, 8), np.float32)}, "text vectors"),
        ({"sentences": np.zeros((1, 32), np.float32)}, "sentence vectors"),
        ({"joint_rows": None}, "come together"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    arguments = drive().arguments()
    with pytest.raises(ShardError, match=message):
        write_shard(tmp_path, **{**arguments, "vectors": replace(arguments["vectors"], **change)})


def test_vectors_that_are_not_normalised_are_refused(tmp_path: Path) -> None:
    arguments = drive().arguments()
    longer = replace(arguments["vectors"], text=arguments["vectors"].text * 2)
    with pytest.raises(ShardError, match="not L2-normalised"):
        write_shard(tmp_path, **{**arguments, "vectors": longer})


def test_ids_that_occur_twice_are_refused(tmp_path: Path) -> None:
    twice = replace(pump(), passages=(*pump().passages, pump().passages[0]))
    with pytest.raises(ShardError, match="more than once"):
        write_shard(tmp_path, **twice.arguments())


def test_passages_of_unknown_documents_are_refused(tmp_path: Path) -> None:
    orphaned = replace(pump(), documents=pump().documents[:1])
    with pytest.raises(ShardError, match="not given"):
        write_shard(tmp_path, **orphaned.arguments())


def test_sentences_are_spans_of_their_passage() -> None:
    passages = drive().passages
    texts = [passages[s.passage].text[s.start : s.end] for s in sentence_spans(passages)]
    assert "Reduce the load and check the grease." in texts


def test_large_shards_get_an_approximate_index(tmp_path: Path) -> None:
    settings = ShardSettings(vectors=VectorIndexSettings(flat_max_rows=4, recall_bar=0.9, memory_budget_mib=8))
    shard = Shard.open(write_shard(tmp_path, **{**drive().arguments(), "settings": settings}).path)
    assert not shard.text.is_flat
    assert max(p.recall for p in shard.manifest.effort_curves["text"].points) >= 0.9


def _open(root: Path, knowledge: Knowledge) -> Shard:
    return Shard.open(write_shard(root, **knowledge.arguments()).path)


def _content(path: Path) -> dict[str, bytes]:
    return {p.relative_to(path).as_posix(): p.read_bytes() for p in path.rglob("*") if p.is_file()}
