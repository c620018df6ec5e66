from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lineside.errors import NotFound, ShardError
from lineside.schema import Evidence
from lineside.search import ReleaseIndex, SearchQuery, SearchSettings
from lineside.search.settings import FusionSettings
from lineside.shards import ShardSettings, VectorIndexSettings, write_shard
from tests.shards.knowledge import drive, embed, pump


def ask(text: str, **fields: object) -> SearchQuery:
    return SearchQuery(text, text_vector=embed(text), joint_text_vector=embed(text), **fields)


def test_an_error_code_finds_its_own_row_first(index: ReleaseIndex) -> None:
    for code in ("E-452", "E-453", "e452"):
        first = index.search(ask(f"What does {code} mean?")).evidence[0]
        assert code.lower().replace("-", "") in first.text.lower().replace("-", "")


def test_a_code_outweighs_every_neighbour_in_vector_space(index: ReleaseIndex) -> None:
    misleading = embed("Cavitation sounds like gravel. Raise the suction pressure above 0.6 bar.")
    found = index.search(SearchQuery("HX-200/A", text_vector=misleading))
    assert "HX-200/A" in found.evidence[0].text


def test_evidence_is_numbered_passages_first(index: ReleaseIndex) -> None:
    found = index.search(ask("hot bearing", image_vector=embed("Thermal view: a hot bearing")))
    assert [e.n for e in found.evidence] == list(range(1, len(found.evidence) + 1))
    kinds = [e.kind == "passage" for e in found.evidence]
    assert kinds == sorted(kinds, reverse=True)
    assert not all(kinds)


def test_evidence_is_valid_by_its_contract(index: ReleaseIndex) -> None:
    for evidence in index.search(ask("grease the bearing", image_vector=embed("a hot bearing"))).evidence:
        assert Evidence.model_validate(evidence.model_dump()) == evidence


def test_cited_spans_are_verbatim_in_the_document(index: ReleaseIndex) -> None:
    for evidence in index.search(ask("grease the bearing seal")).evidence:
        if evidence.kind == "passage":
            assert index.document(evidence.document_id).text[evidence.start : evidence.end] == evidence.text


def test_urls_point_at_the_page_or_else_the_section(index: ReleaseIndex) -> None:
    grease = index.search(ask("how much grease")).evidence[0]
    assert (
        grease.url
        == f"/v1/documents/drive-motor-manual/pages/4?start={grease.start}&end={grease.end}&version={grease.version}"
    )
    seal = index.search(ask("mechanical seal drips")).evidence[0]
    assert (
        seal.url
        == f"/v1/documents/pump-pump-maintenance/sections/s1?start={seal.start}&end={seal.end}&version={seal.version}"
    )


def test_images_have_urls_that_resolve(index: ReleaseIndex) -> None:
    pictures = [e for e in index.search(ask("grease nipple of the bearing")).evidence if e.kind == "figure"]
    assert pictures[0].image_url == "/v1/images/drive-figure-1"
    assert index.image("drive-figure-1").media_type == "image/webp"


def test_a_frame_votes_for_its_label_and_finds_the_section(index: ReleaseIndex) -> None:
    found = index.search(ask("What do I do?", image_vector=embed("Thermal view: a hot bearing")))
    assert found.labels[0].label == "thermal-bearing-hot"
    assert found.labels[0].share > 0.9
    assert found.evidence[0].section_path == ("Bearing temperature",)


def test_an_unrelated_picture_does_not_vote(index: ReleaseIndex) -> None:
    unrelated = embed("zebra crossing in the rain")
    assert index.search(ask("What do I do?", image_vector=unrelated)).labels == ()


def test_labels_vote_only_within_the_family(index: ReleaseIndex) -> None:
    hot = embed("Thermal view: a hot bearing")
    assert index.search(ask("What is this?", image_vector=hot, family="pump")).labels == ()


def test_sentences_are_verbatim_and_the_answer_scores_best(index: ReleaseIndex) -> None:
    found = index.search(ask("What must I do at the bearing alarm, reduce the load?"))
    by_number = {e.n: e for e in found.evidence}
    best = max(found.sentences, key=lambda s: s.score)
    assert by_number[best.evidence].text[best.start : best.end] == "Reduce the load and check the grease."
    assert all(0 <= s.coverage <= 1 for s in found.sentences)


def test_what_the_knowledge_never_heard_of_is_named(index: ReleaseIndex) -> None:
    signals = index.search(ask("Which zebra causes E-999?")).signals
    assert "zebra" in signals.unknown_terms
    assert signals.missing_identifiers == ("e999",)


def test_a_known_identifier_that_was_not_retrieved_is_missing(index: ReleaseIndex) -> None:
    signals = index.search(ask("seal kit HX-200/A", family="drive")).signals
    assert signals.missing_identifiers == ("hx200a",)


def test_answerable_questions_are_more_answerable(index: ReleaseIndex) -> None:
    known = index.search(ask("How much lithium grease does the bearing need?")).signals.answerability
    unknown = index.search(ask("Who won the football championship in Zebraland?")).signals.answerability
    assert known > unknown


def test_what_is_asked_for_by_name_is_unmet_where_no_passage_holds_it(index: ReleaseIndex) -> None:
    met, unmet = (
        index.search(ask(f"Which {thing} does the bearing need?")).signals.features for thing in ("grease", "zebra")
    )
    assert met is not None
    assert not met.unmet_thing
    assert unmet is not None
    assert unmet.unmet_thing


def test_neighbouring_words_are_met_where_one_sentence_holds_both(index: ReleaseIndex) -> None:
    met, unmet = (
        index.search(ask(f"What about {words}?")).signals.features for words in ("suction pressure", "grease pressure")
    )
    assert met is not None
    assert met.unmet_neighbours == 0
    assert unmet is not None
    assert unmet.unmet_neighbours == 1


def test_how_far_the_best_passage_stands_out_does_not_depend_on_how_many_are_wanted(index: ReleaseIndex) -> None:
    few, many = (index.search(ask("How much grease?", k=k)).signals.features for k in (1, 8))
    assert few is not None
    assert many is not None
    assert (few.stands_out, few.agreement) == (many.stands_out, many.agreement)
    assert few.stands_out > 0


def test_codes_in_the_context_help(index: ReleaseIndex) -> None:
    found = index.search(ask("What is wrong?", context="12:00:01 ALARM E-453 raised by drive M2\n" * 50))
    assert "E-453" in found.evidence[0].text


def test_a_batch_gives_what_single_questions_give(index: ReleaseIndex) -> None:
    questions = [ask("seal kit"), ask("bearing alarm", family="drive"), ask("E-452", k=2), ask("?", family="none")]
    for one, many in zip([index.search(q) for q in questions], index.search_batch(questions), strict=True):
        assert [e.id for e in one.evidence] == [e.id for e in many.evidence]
        assert replace(one.signals, answerability=0, features=None) == replace(
            many.signals, answerability=0, features=None
        )
        # One product of matrices rounds otherwise than one for each question.
        assert one.signals.answerability == pytest.approx(many.signals.answerability, abs=1e-6)


def test_threads_do_not_disturb_each_other(index: ReleaseIndex) -> None:
    questions = [ask("seal kit"), ask("bearing alarm"), ask("E-452"), ask("cavitation")]
    expected = [[e.id for e in index.search(q).evidence] for q in questions]
    with ThreadPoolExecutor(8) as pool:
        for place, found in enumerate(pool.map(index.search, questions * 20)):
            assert [e.id for e in found.evidence] == expected[place % 4]


def test_missing_vectors_switch_their_signal_off(index: ReleaseIndex) -> None:
    found = index.search(SearchQuery("seal kit"))
    assert "HX-200/A" in found.evidence[0].text
    assert set(found.evidence[0].scores) == {"lexical"}


def test_words_alone_that_no_passage_has_find_nothing(index: ReleaseIndex) -> None:
    result = index.search(SearchQuery("zyxwv qwrtp"))
    assert result.evidence == ()


def test_approximate_shards_rank_like_flat_ones(index: ReleaseIndex, tmp_path: Path) -> None:
    settings = ShardSettings(vectors=VectorIndexSettings(flat_max_rows=3, recall_bar=0.99))
    paths = [write_shard(tmp_path, **k.arguments(), settings=settings).path for k in (drive(), pump())]
    approximate = ReleaseIndex.open(paths, 7)
    for question in (ask("seal kit"), ask("bearing alarm", family="drive"), ask("cavitation", k=3)):
        flat, other = index.search(question), approximate.search(question)
        assert [e.id for e in flat.evidence][:2] == [e.id for e in other.evidence][:2]


def test_idf_is_the_releases_and_not_a_shards(shards: list[Path]) -> None:
    lexical_only = SearchSettings(fusion=FusionSettings(dense=0, lexical=1, identifier=0))
    together = ReleaseIndex.open(shards, 1, lexical_only)
    alone = ReleaseIndex.open([p for p in shards if ReleaseIndex.open([p], 1).families == ("pump",)], 1, lexical_only)
    question = SearchQuery("seal pressure", family="pump")
    scores = [i.search(question).evidence[0].scores["lexical"] for i in (together, alone)]
    assert scores[0] > scores[1]


def test_shards_of_different_encoders_do_not_mix(shards: list[Path], tmp_path: Path) -> None:
    arguments = {**pump().arguments(), "fingerprints": {"text": "another", "joint": "bag-of-words"}}
    other = write_shard(tmp_path, **arguments).path
    with pytest.raises(ShardError, match="different encoders"):
        ReleaseIndex.open([*shards, other], 1)


def test_a_release_without_joint_vectors_is_searched_by_text(tmp_path: Path) -> None:
    arguments = pump().arguments()
    vectors = replace(arguments["vectors"], joint=None, joint_rows=None)
    index = ReleaseIndex.open([write_shard(tmp_path, **{**arguments, "vectors": vectors}).path], 1)
    found = index.search(SearchQuery("seal kit", embed("seal kit"), image_vector=np.ones(32, np.float32) / 32**0.5))
    assert "seal" in found.evidence[0].text
    assert found.labels == ()


def test_documents_and_images_that_are_not_there_are_not_found(index: ReleaseIndex) -> None:
    with pytest.raises(NotFound):
        index.document("nothing")
    with pytest.raises(NotFound):
        index.image("nothing")


def test_a_release_needs_shards() -> None:
    with pytest.raises(ShardError, match="no shards"):
        ReleaseIndex.open([], 1)
