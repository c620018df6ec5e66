"""What is done with releases once they are open: warmed before they serve, and opened where a citation points."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from lineside.errors import NotFound

if TYPE_CHECKING:
    from lineside.documents import Document
    from lineside.search import ReleaseIndex
    from lineside.shards import Shard
    from lineside.shards.images import StoredImage


def warm_up(index: ReleaseIndex) -> None:
    """A question over everything, and one in every family: no client pays for what is built on demand."""
    from lineside.search import SearchQuery  # loads FAISS, which whoever only asks for a document does not need

    def vector(space: str) -> np.ndarray | None:
        size = max(shard.manifest.dimensions[space] for shard in index.shards)
        if not size:
            return None
        return np.full(size, 1 / np.sqrt(size), np.float32)

    text, joint = vector("text"), vector("joint")
    index.search_batch(
        [
            SearchQuery(text="warm up", family=family, text_vector=text, joint_text_vector=joint, image_vector=joint)
            for family in (None, *index.families)
        ]
    )


def cited_document(shards: Iterable[Shard], release: int, document_id: str, version: str | None = None) -> Document:
    """A document of the first shard that has it; the version that was cited, where one of the shards has that.

    Raises:
        NotFound: there is no such document, or not in that version any more.
    """
    found = None
    for shard in shards:
        if document_id in shard.document_ids:
            document = shard.document(document_id)
            if version in (None, document.version):
                return document
            found = found or document
    if version is None or found is None:
        raise NotFound(f"no document {document_id} in release {release}")
    raise NotFound(
        f"version {version} of document {document_id} is not held any more, version {found.version} is: leave out "
        "version= to see it"
    )


def cited_image(shards: Iterable[Shard], release: int, image_id: str) -> StoredImage:
    """A figure or a frame's thumbnail, of the first shard that has it; raises NotFound."""
    for shard in shards:
        if image_id in shard:
            return shard.image(image_id)
    raise NotFound(f"no image {image_id} in release {release}")
