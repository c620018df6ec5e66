"""Keeps publications that are no longer the newest listed, as long as a rollout may send gateways to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tuf.api.metadata import Targets

from edge.trust.records import RELEASE, Recipient, ReleaseRecord, parse_record
from edge.trust.repository import Content, TrustRepository
from edge.trust.staging import older_path
from lineside.errors import IntegrityError

_DOCUMENTS: Final = (RELEASE, "shards/", "access/")
_READ_AT_ONCE = 16


def listed_records(repository: TrustRepository, metadata: Targets) -> dict[int, ReleaseRecord]:
    """The release record of every publication that `shards` metadata lists, by publication.

    Raises:
        IntegrityError: the store's content is not what was signed.
    """
    paths = [path for path in metadata.targets if path == RELEASE or path.endswith(f"/{RELEASE}")]
    found = (_record(repository, metadata, path) for path in paths)
    return {record.publication: record for record in found}


def keep_listed(
    repository: TrustRepository, metadata: Targets, live: Iterable[int], readers: Mapping[str, Recipient]
) -> dict[str, Content]:
    """What the next `shards` metadata has to list so that gateways can still take these publications.

    A gateway that is no reader any more, or has another key, loses its access to them at once.
    """
    newest = _record(repository, metadata, RELEASE)
    contents: dict[str, Content] = {}
    for publication in live:
        if publication == newest.publication:
            record, prefix = newest, ""
        else:
            prefix = older_path(publication, "")
            if prefix + RELEASE not in metadata.targets:
                continue  # it was never published here, or removed by --start-over
            record = _record(repository, metadata, prefix + RELEASE)
        # Who held no family has no label, and an access without keys.
        labels = {label.split(":")[0]: label for shard in record.shards for label in shard.readers}
        allowed = {
            f"access/{name}.json"
            for name, reader in readers.items()
            if labels.get(name, reader.label(name)) == reader.label(name)
        }
        paths = [
            path.removeprefix(prefix)
            for path in metadata.targets
            if path.startswith(prefix) and path.removeprefix(prefix).startswith(_DOCUMENTS)
        ]
        kept = [path for path in paths if not path.startswith("access/") or path in allowed]
        if prefix:
            contents |= {prefix + path: metadata.targets[prefix + path] for path in kept}
            continue
        # Listed under another path, and so stored under another key: read once, when it stops being the newest.
        with ThreadPoolExecutor(_READ_AT_ONCE) as pool:
            found = pool.map(lambda path: (path, repository.read_target(metadata, path)), kept)
            contents |= {older_path(publication, path): data for path, data in found if data is not None}
    return contents


def _record(repository: TrustRepository, metadata: Targets, path: str) -> ReleaseRecord:
    data = repository.read_target(metadata, path)
    if data is None:
        raise IntegrityError(f"{path} is not signed by the role shards")
    return parse_record(data, ReleaseRecord, path)


def keep_models(repository: TrustRepository, metadata: Targets, live: Iterable[int]) -> dict[str, Content]:
    """What the next `models` metadata has to list so that these publications keep the models that they came with.

    A publication without models of its own takes the newest ones, which have not changed since then.
    """
    contents: dict[str, Content] = {}
    for publication in live:
        prefix = older_path(publication, "")
        own: dict[str, Content] = {path: target for path, target in metadata.targets.items() if path.startswith(prefix)}
        if not own:
            newest = [path for path in metadata.targets if path.startswith("models/")]
            found = ((path, repository.read_target(metadata, path)) for path in newest)
            own = {prefix + path: data for path, data in found if data is not None}
        contents |= own
    return contents
