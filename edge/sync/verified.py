"""Targets of the repository as TUF's client workflow lets them through: python-tuf's `ngclient` over our source."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO
from urllib.parse import unquote

from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    RepositoryError,
)
from tuf.api.metadata import Metadata, Snapshot
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from edge.sync.source import Source
from edge.trust.repository import METADATA, TARGETS
from lineside.errors import IntegrityError, NotFound, StoreUnavailable, TooLarge

_ROOT_BYTES_MAX = 512_000
_TIMESTAMP_BYTES_MAX = 16_384


class Expired(IntegrityError):
    """Signed metadata is older than it may be: the store was frozen, or nobody published or refreshed in time."""


class VerifiedTargets:
    """One consistent view of the repository, as new as its timestamp says.

    `folder` keeps the metadata seen last, which is what rollback and freeze attacks are recognised by.

    Raises, as its methods do:
        IntegrityError: metadata or a target is not what its signers signed, or older than what was seen before.
        Expired: the metadata that the store offers has expired.
        StoreUnavailable: the store cannot be reached or lacks something that signed metadata names.
    """

    def __init__(self, source: Source, folder: Path, root: bytes, *, max_metadata_bytes: int) -> None:
        self._source = source
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        config = UpdaterConfig(
            max_root_rotations=1_024,
            max_delegations=8,
            root_max_length=_ROOT_BYTES_MAX,
            timestamp_max_length=_TIMESTAMP_BYTES_MAX,
            snapshot_max_length=max_metadata_bytes,
            targets_max_length=max_metadata_bytes,
        )
        with _errors(source):
            self._updater = Updater(
                metadata_dir=str(folder),
                metadata_base_url=METADATA,
                target_base_url=TARGETS,
                fetcher=_Fetcher(source),
                config=config,
                bootstrap=root,
            )
            self._updater.refresh()

    def fingerprint(self) -> str:
        """Of all metadata that the verified snapshot names, but the fleet's: the same means that they are the same."""
        meta = dict(Metadata[Snapshot].from_file(str(self._folder / "snapshot.json")).signed.meta)
        meta.pop("fleet.json", None)
        return repr(sorted((name, one.version, one.length, one.hashes) for name, one in meta.items()))

    def valid_until(self) -> datetime:
        """When the first of the metadata that were taken expires."""
        with _errors(self._source):
            return min(Metadata.from_file(str(path)).signed.expires for path in self._folder.glob("*.json"))

    def sha256(self, path: str) -> str | None:
        """The SHA-256 (hex) of a target; None where no role that may speak for the path lists it."""
        with _errors(self._source):
            target = self._updater.get_targetinfo(path)
        return None if target is None else target.hashes["sha256"]

    def read(self, path: str, max_bytes: int) -> bytes:
        """The content of a target.

        Raises:
            IntegrityError: also where it is not listed, or has more than `max_bytes`.
        """
        with _errors(self._source):
            target = self._updater.get_targetinfo(path)
            if target is None:
                raise IntegrityError(f"{path} is not signed by the role that may sign it")
            if target.length > max_bytes:
                raise IntegrityError(f"{path} has {target.length} bytes; {max_bytes} are allowed")
            with tempfile.TemporaryDirectory() as temporary:  # signed and public: nothing in plain text
                return Path(self._updater.download_target(target, str(Path(temporary) / "target"))).read_bytes()


class _Fetcher(FetcherInterface):
    """TUF's downloads from a source, with TUF's limits as the source's."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def _fetch(self, url: str) -> Iterator[bytes]:
        yield self._get(url, None)

    @contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[IO[bytes]]:
        yield io.BytesIO(self._get(url, max_length))

    def _get(self, url: str, max_bytes: int | None) -> bytes:
        try:
            return self._source.get(unquote(url), max_bytes)[0]
        except NotFound as error:
            raise DownloadHTTPError(str(error), 404) from error
        except TooLarge as error:
            raise DownloadLengthMismatchError(str(error)) from error
        except StoreUnavailable as error:
            raise DownloadError(str(error)) from error


@contextmanager
def _errors(source: Source) -> Iterator[None]:
    """TUF's errors as ours."""
    try:
        yield
    except ExpiredMetadataError as error:
        raise Expired(f"{source.url} offers metadata that has expired: {error}") from error
    except RepositoryError as error:
        raise IntegrityError(f"{source.url} offers metadata or a target that must not be believed: {error}") from error
    except DownloadLengthMismatchError as error:
        raise IntegrityError(f"{source.url} offers more bytes than may be: {error}") from error
    except DownloadHTTPError as error:
        raise StoreUnavailable(f"{source.url} lacks a file of the repository: {error}") from error
    except DownloadError as error:
        raise StoreUnavailable(str(error)) from error
