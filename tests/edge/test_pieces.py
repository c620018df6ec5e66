"""Cutting, sealing, framing, wrapping: the properties that transport and secrecy rest on."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.pieces import Chunker, GatewayIdentity, PieceSizes, PlainPieces, SealedPieces, wrap_data_key
from edge.pieces.framing import PLAIN_BYTES_MAX, frame, unframe
from edge.pieces.wrapping import check_public_key
from lineside.errors import ConfigurationError, IntegrityError

SMALL = PieceSizes(64, 256, 1_024)
KEY = bytes(range(32))


def array(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8)


def random_bytes(n: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, n, dtype=np.uint8).tobytes()


# ---- Cutting --------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=20_000))
def test_cuts_cover_everything_within_the_sizes(data: bytes) -> None:
    ends = Chunker(b"secret", SMALL).cuts(array(data))
    lengths = np.diff([0, *ends])
    assert (ends[-1:] or [0]) == [len(data)]
    assert all(SMALL.smallest <= length <= SMALL.largest for length in lengths[:-1])
    assert all(0 < length <= SMALL.largest for length in lengths[-1:])


def test_gear_hash_is_the_sum_that_it_says() -> None:
    chunker = Chunker(b"secret", SMALL)
    data = random_bytes(200)
    hashes = chunker._hashes(array(data))
    for place in (0, 5, 31, 32, 100, 199):
        expected = sum(int(chunker._gear[data[place - j]]) << j for j in range(min(place + 1, 32))) % 2**32
        assert hashes[place] == expected


def test_cuts_do_not_depend_on_the_block_that_is_hashed_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    data = array(random_bytes(100_000))
    whole = Chunker(b"secret", SMALL).cuts(data)
    monkeypatch.setattr("edge.pieces.chunking._BLOCK", 777)
    assert Chunker(b"secret", SMALL).cuts(data) == whole


@given(place=st.integers(0, 99_999), inserted=st.binary(min_size=1, max_size=300), removed=st.integers(0, 300))
def test_a_change_moves_only_the_pieces_around_it(place: int, inserted: bytes, removed: int) -> None:
    data = random_bytes(100_000)
    other = data[:place] + inserted + data[place + removed :]

    def pieces(content: bytes) -> set[bytes]:
        ends = Chunker(b"secret", SMALL).cuts(array(content))
        return {content[start:end] for start, end in zip([0, *ends], ends, strict=False)}

    changed = sum(len(piece) for piece in pieces(other) - pieces(data))
    assert changed <= len(inserted) + 12 * SMALL.largest


def test_average_is_about_what_was_asked_for() -> None:
    lengths = np.diff([0, *Chunker(b"secret").cuts(array(random_bytes(2 << 20)))])
    assert 3 << 10 < lengths.mean() < 6 << 10


def test_another_secret_cuts_elsewhere() -> None:
    data = array(random_bytes(50_000))
    one, other = Chunker(b"one", SMALL).cuts(data), Chunker(b"other", SMALL).cuts(data)
    assert len(set(one) & set(other)) < len(one) / 4


@pytest.mark.parametrize("sizes", [(16, 64, 128), (64, 100, 1_024), (256, 256, 512), (64, 256, 8 << 20)])
def test_impossible_sizes_are_refused(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ConfigurationError):
        PieceSizes(*sizes)


# ---- Sealing --------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=5_000))
def test_sealed_piece_opens(piece: bytes) -> None:
    cipher = SealedPieces(KEY)
    assert cipher.open(cipher.identify(piece), cipher.seal(piece)) == piece


@given(st.binary(max_size=300), st.data())
def test_any_changed_bit_of_a_sealed_piece_is_noticed(piece: bytes, data: st.DataObject) -> None:
    cipher = SealedPieces(KEY)
    sealed = bytearray(cipher.seal(piece))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(IntegrityError):
        cipher.open(cipher.identify(piece), bytes(sealed))


@given(st.sets(st.binary(max_size=64), min_size=2, max_size=40))
def test_different_pieces_have_different_ids_and_keys(pieces: set[bytes]) -> None:
    """The nonce is constant, so that keys must never meet."""
    cipher = SealedPieces(KEY)
    assert len({cipher.identify(piece) for piece in pieces}) == len(pieces)
    # Under one key and nonce the keystream would be the same: equal plain text would give equal bytes.
    keystreams = {cipher._key(cipher.identify(piece)).encrypt(bytes(12), bytes(16), None)[:16] for piece in pieces}
    assert len(keystreams) == len(pieces)


def test_equal_pieces_are_equal_bytes_under_one_data_key_only() -> None:
    one, again, other = SealedPieces(KEY), SealedPieces(KEY), SealedPieces(KEY[::-1])
    assert one.seal(b"a piece") == again.seal(b"a piece")
    assert one.seal(b"a piece") != other.seal(b"a piece")
    assert one.identify(b"a piece") != other.identify(b"a piece")


def test_piece_does_not_open_under_another_pieces_id() -> None:
    cipher = SealedPieces(KEY)
    with pytest.raises(IntegrityError):
        cipher.open(cipher.identify(b"this"), cipher.seal(b"that"))


def test_plain_pieces_are_checked_by_their_hash() -> None:
    cipher = PlainPieces()
    assert cipher.open(cipher.identify(b"model"), cipher.seal(b"model")) == b"model"
    with pytest.raises(IntegrityError):
        cipher.open(cipher.identify(b"model"), b"mode1")


def test_data_key_of_another_length_is_refused() -> None:
    with pytest.raises(IntegrityError):
        SealedPieces(b"short")


# ---- Framing --------------------------------------------------------------------------------------------------------


@given(st.one_of(st.binary(max_size=3_000), st.text(alphabet="ab", max_size=3_000).map(str.encode)))
def test_framed_piece_comes_back(plain: bytes) -> None:
    assert unframe(frame(plain)) == plain
    assert len(frame(plain)) <= len(plain) + 1


@given(st.binary(max_size=200))
def test_anything_else_is_refused(framed: bytes) -> None:
    if framed[:1] == b"\x00":
        assert unframe(framed) == framed[1:]
        return
    with pytest.raises(IntegrityError):
        unframe(b"\x02" + framed)
    with pytest.raises(IntegrityError):
        unframe(b"\x01\xff\xff\x00\x00" + framed)


def test_piece_that_would_unpack_over_the_limit_is_refused() -> None:
    bomb = b"\x01" + (PLAIN_BYTES_MAX + 1).to_bytes(4, "little") + b"\x28\xb5\x2f\xfd"
    with pytest.raises(IntegrityError, match="limit"):
        unframe(bomb)


def test_piece_that_unpacks_to_more_than_it_says_is_refused() -> None:
    framed = frame(bytes(100_000))
    lying = framed[:1] + (10).to_bytes(4, "little") + framed[5:]
    with pytest.raises(IntegrityError):
        unframe(lying)


# ---- Wrapping -------------------------------------------------------------------------------------------------------


def test_data_key_opens_for_its_gateway_family_and_epoch_only() -> None:
    cell, other = GatewayIdentity("cell-1", b"1" * 32), GatewayIdentity("cell-1", b"2" * 32)
    renamed = GatewayIdentity("cell-2", b"1" * 32)
    wrapped = wrap_data_key(KEY, cell.public_key, gateway="cell-1", family="pump", epoch=3)
    assert cell.unwrap(wrapped, family="pump", epoch=3) == KEY
    for reader, family, epoch in ((other, "pump", 3), (renamed, "pump", 3), (cell, "drive", 3), (cell, "pump", 4)):
        with pytest.raises(IntegrityError, match="not wrapped"):
            reader.unwrap(wrapped, family=family, epoch=epoch)


@pytest.mark.parametrize("public_key", ["", "not base64", base64.b64encode(b"short").decode()])
def test_something_else_than_a_public_key_is_refused(public_key: str) -> None:
    with pytest.raises(ConfigurationError, match="keys gateway"):
        check_public_key(public_key, "cell-1")


def test_public_key_that_every_key_agrees_with_is_refused() -> None:
    """X25519 with the point of order one would make a key that anybody knows (RFC 7748, section 6.1)."""
    with pytest.raises(ConfigurationError):
        check_public_key(base64.b64encode(bytes(32)).decode(), "cell-1")
