"""Packing: what comes out is what went in, and what has not changed is not sent again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.pieces import PackingLimits, PieceIndex, PieceSizes, PlainPieces, SealedPieces, pack_files
from edge.pieces.index import Pack, parse_index
from edge.sync.packs import PackStore
from lineside.errors import IntegrityError
from lineside.shards import ShardVectors, sentence_spans, write_shard
from tests.shards.knowledge import manual

SMALL = PieceSizes(64, 256, 1_024)
KEY = bytes(32)


def pack(
    files: dict[str, Any], packs: dict[str, bytes], previous: PieceIndex | None = None, **options: Any
) -> PieceIndex:
    return pack_files(
        files,
        kind="shard",
        name="pump",
        content="0" * 40,
        epoch=1,
        cipher=SealedPieces(KEY),
        store_pack=lambda sha256, data: packs.update({sha256: data}),
        previous=previous,
        **{"sizes": SMALL, **options},
    )


def unpack(index: PieceIndex, packs: dict[str, bytes], folder: Path) -> dict[str, bytes]:
    store = PackStore(folder)
    for described in index.packs:
        store.add(described, packs[described.sha256])
    return {name: b"".join(store.plain(index, file, SealedPieces(KEY))) for name, file in index.files.items()}


@given(st.dictionaries(st.sampled_from("abcdef"), st.binary(max_size=5_000), min_size=1))
def test_files_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    packs: dict[str, bytes] = {}
    index = pack(files, packs, limits=PackingLimits(pack_bytes=2_000))
    read = parse_index(index.model_dump_json().encode(), kind="shard", name="pump")
    assert unpack(read, packs, tmp_path_factory.mktemp("packs")) == files
    assert all(hashlib.sha256(files[name]).hexdigest() == file.sha256 for name, file in read.files.items())


def test_packs_are_closed_at_their_size_and_named_by_their_hash() -> None:
    packs: dict[str, bytes] = {}
    pack({"a": random(50_000)}, packs, limits=PackingLimits(pack_bytes=8_000))
    assert len(packs) >= 6
    assert all(len(data) <= 8_000 and hashlib.sha256(data).hexdigest() == name for name, data in packs.items())


def test_same_files_again_send_nothing() -> None:
    packs: dict[str, bytes] = {}
    first = pack({"a": random(50_000)}, packs)
    packs.clear()
    second = pack({"a": random(50_000)}, packs, previous=first)
    assert not packs
    assert second == first


def test_change_sends_the_pieces_around_it_and_keeps_the_pack(tmp_path: Path) -> None:
    packs: dict[str, bytes] = {}
    before = random(50_000)
    first = pack({"a": before}, packs)
    old = dict(packs)
    packs.clear()
    after = before[:20_000] + b"something else" + before[20_100:]
    second = pack({"a": after}, packs, previous=first)
    assert sum(map(len, packs.values())) < 5_000
    assert {described.sha256 for described in first.packs} < {described.sha256 for described in second.packs}
    assert unpack(second, {**old, **packs}, tmp_path) == {"a": after}


def test_pack_that_is_hardly_used_is_left_behind(tmp_path: Path) -> None:
    packs: dict[str, bytes] = {}
    data = random(50_000)
    first = pack({"a": data}, packs)
    second = pack({"a": data[:10_000]}, packs, previous=first)
    assert not {described.sha256 for described in first.packs} & {described.sha256 for described in second.packs}
    assert unpack(second, packs, tmp_path) == {"a": data[:10_000]}


def test_many_small_packs_become_one(tmp_path: Path) -> None:
    packs: dict[str, bytes] = {}
    files: dict[str, bytes] = {}
    index = None
    counts = []
    for number in range(12):
        files[f"f{number}"] = random(3_000, number)
        index = pack(files, packs, previous=index, limits=PackingLimits(pack_bytes=64_000, small_packs_max=4))
        counts.append(len(index.packs))
    assert max(counts) <= 6
    assert counts[-1] < 12
    assert index is not None
    assert unpack(index, packs, tmp_path) == files


def random(n: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, n, dtype=np.uint8).tobytes()


# ---- A shard that changes -------------------------------------------------------------------------------------------


def shard(root: Path, texts: list[str], dimension: int = 384) -> Path:
    """A shard of one passage a text; vectors follow from the texts, so that equal passages have equal ones."""

    def vectors(items: list[str]) -> np.ndarray:
        rows = [np.random.default_rng(list(item.encode())).standard_normal(dimension) for item in items]
        return np.stack([row / np.linalg.norm(row) for row in rows]).astype(np.float32)

    document, passages = manual("pump", "manual", {f"Part {n:04d}": text for n, text in enumerate(texts)})
    spans = sentence_spans(passages)
    sentences = vectors([passages[span.passage].text[span.start : span.end] for span in spans])
    return write_shard(
        root,
        family="pump",
        documents=(document,),
        passages=passages,
        figures=(),
        frames=(),
        vectors=ShardVectors(vectors([passage.text for passage in passages]), sentences),
        fingerprints={"text": "random"},
    ).path


@pytest.mark.parametrize("spread", ["together", "scattered"])
def test_change_of_one_percent_of_the_passages_moves_a_tenth_of_the_bytes_at_most(tmp_path: Path, spread: str) -> None:
    words = [f"word{n}" for n in range(400)]
    rng = np.random.default_rng(5)
    texts = [" ".join(f"{' '.join(rng.choice(words, 13)).capitalize()}." for _ in range(3)) for _ in range(1_500)]
    changed = list(texts)
    for n in range(700, 715) if spread == "together" else range(50, 1_500, 100):
        changed[n] = f"{texts[n][:-1]} revised."
    packs: dict[str, bytes] = {}

    def packed(folder: Path, previous: PieceIndex | None) -> PieceIndex:
        files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
        return pack(files, packs, previous, sizes=PieceSizes())

    first = packed(shard(tmp_path, texts), None)
    packs.clear()
    second = packed(shard(tmp_path, changed), first)
    moved = sum(map(len, packs.values())) + len(second.model_dump_json())
    assert moved <= 0.1 * sum(file.size for file in second.files.values())


# ---- The index as it comes from outside -----------------------------------------------------------------------------


def described() -> dict[str, Any]:
    return json.loads(pack({"a": random(3_000)}, {}).model_dump_json())


def broken(change: Any) -> bytes:
    content = described()
    change(content)
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["files"].update({"../a": c["files"].pop("a")}),
        lambda c: c["files"].update({"/a": c["files"].pop("a")}),
        lambda c: c["files"].update({"b/../../a": c["files"].pop("a")}),
        lambda c: c["files"].update({".hidden": c["files"].pop("a")}),
        lambda c: c["files"]["a"]["pieces"][0].__setitem__(1, 7),
        lambda c: c["files"]["a"]["pieces"][0].__setitem__(2, 1 << 40),
        lambda c: c["files"]["a"]["pieces"][0].__setitem__(2, -1),
        lambda c: c["files"]["a"]["pieces"][0].__setitem__(0, "short"),
        lambda c: c["packs"].append(c["packs"][0]),
        lambda c: c["packs"][0].__setitem__(1, 1 << 40),
        lambda c: c["packs"][0].__setitem__(0, "../../../etc/passwd"),
        lambda c: c.update(epoch=0),
        lambda c: c.update(kind="model"),
        lambda c: c.update(files={}),
        lambda c: c.update(format_version=2),
        lambda c: c.update(more=1),
    ],
)
def test_malformed_index_is_refused(change: Any) -> None:
    with pytest.raises(IntegrityError, match="malformed"):
        parse_index(broken(change), kind="shard", name="pump")


def test_index_of_something_else_is_refused() -> None:
    with pytest.raises(IntegrityError, match="is that of shard pump"):
        parse_index(broken(lambda c: None), kind="shard", name="drive")


def test_pack_of_other_content_is_not_kept(tmp_path: Path) -> None:
    store = PackStore(tmp_path)
    right = Pack(hashlib.sha256(b"right").hexdigest(), 5)
    with pytest.raises(IntegrityError):
        store.add(right, b"wrong")
    assert not store.has(right)


def test_models_are_packed_in_plain(tmp_path: Path) -> None:
    packs: dict[str, bytes] = {}
    index = pack_files(
        {"model.gguf": random(10_000)},
        kind="model",
        name="writer",
        content="writer",
        epoch=0,
        cipher=PlainPieces(),
        store_pack=lambda sha256, data: packs.update({sha256: data}),
        sizes=SMALL,
    )
    store = PackStore(tmp_path)
    for one in index.packs:
        store.add(one, packs[one.sha256])
    assert b"".join(store.plain(index, index.files["model.gguf"], PlainPieces())) == random(10_000)
