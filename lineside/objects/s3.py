"""Objects in an S3 bucket, or in any server that speaks S3 with conditional writes.

obstore (Rust's object_store) does the requests: signatures, multipart uploads, retries with jittered back-off.
Conditions are `If-None-Match: *` and `If-Match: etag` of PutObject
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import obstore
from obstore import exceptions
from obstore.store import S3Store as Bucket

from lineside.errors import Conflict, NotFound, StoreUnavailable, TooLarge
from lineside.objects.contract import ObjectInfo, ObjectStore, StoreLimits
from lineside.objects.keys import check_key, check_prefix

_PART_BYTES = 8 << 20
_PARTS_AT_ONCE = 4


class S3Store:
    """Objects of one bucket below a prefix. May be used from several threads; may cross a process border."""

    def __init__(self, bucket: str, prefix: str = "", limits: StoreLimits = StoreLimits()) -> None:
        """Nothing is contacted yet. Raises InvalidRequest for a prefix that cannot be one."""
        self._bucket, self._prefix, self._limits = bucket, check_prefix(prefix), limits
        self._endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None
        self._answered = False
        self._client = Bucket(
            bucket,
            prefix=prefix or None,
            config={"endpoint": self._endpoint} if self._endpoint else {},
            client_options={
                "allow_http": bool(self._endpoint and self._endpoint.startswith("http://")),
                "connect_timeout": timedelta(seconds=limits.connect_s),
                "timeout": timedelta(seconds=limits.request_s),
            },
            retry_config={
                "max_retries": limits.retries,
                "retry_timeout": timedelta(seconds=limits.retry_s),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100),
                    "max_backoff": timedelta(seconds=5),
                    "base": 2.0,
                },
            },
        )

    @property
    def url(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def __repr__(self) -> str:
        return f"S3Store({self.url!r})"

    def __reduce__(self) -> tuple[type[S3Store], tuple[str, str, StoreLimits]]:
        return (S3Store, (self._bucket, self._prefix, self._limits))

    def get(self, key: str, max_bytes: int | None = None) -> tuple[bytes, str]:
        with self._errors(key):
            found = self._client.get(check_key(key))
            if max_bytes is not None and found.meta["size"] > max_bytes:
                raise TooLarge(f"{key} has {found.meta['size']} bytes; {max_bytes} are allowed")
            return bytes(found.bytes()), found.meta["e_tag"] or ""

    def head(self, key: str) -> ObjectInfo | None:
        try:
            with self._errors(key):
                return _info(self._client.head(check_key(key)))
        except NotFound:
            self._check_bucket()
            return None

    def put(self, key: str, data: bytes) -> str:
        with self._errors(key):
            return self._client.put(check_key(key), data, use_multipart=False)["e_tag"] or ""

    def create(self, key: str, data: bytes) -> str:
        with self._errors(key):
            return self._client.put(check_key(key), data, mode="create")["e_tag"] or ""

    def replace(self, key: str, data: bytes, etag: str) -> str:
        try:
            with self._errors(key):
                return self._client.put(check_key(key), data, mode={"e_tag": etag})["e_tag"] or ""
        except (Conflict, NotFound):
            self._check_bucket()
            raise Conflict(f"{key} in {self.url} was changed by somebody else meanwhile: read it again") from None

    def upload(self, key: str, path: Path) -> None:
        with self._errors(key):
            self._client.put(check_key(key), path, chunk_size=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE)

    def download(self, key: str, path: Path) -> None:
        """In ranges of one version, so that each has a time-out and retries of its own however large the object is."""
        known = self.head(key)
        if known is None:
            raise NotFound(f"{key} is not in {self.url}")
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                for start in range(0, known.size, _PART_BYTES):
                    end = min(start + _PART_BYTES, known.size)
                    with self._errors(key):
                        part = self._client.get(key, options={"if_match": known.etag, "range": (start, end)}).bytes()
                    stream.write(part)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(name, 0o644)
            os.replace(name, path)
        finally:
            Path(name).unlink(missing_ok=True)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """The library lists whole folders: the rest of the prefix is where the listing starts, and ends."""
        check_prefix(prefix)
        folder, _, beginning = prefix.rpartition("/")
        offset = prefix[:-1] if beginning else None  # an offset is exclusive, and `prefix` itself may be a key
        with self._errors(prefix):
            for batch in self._client.list(folder or None, offset=offset, chunk_size=1000):
                for meta in batch:
                    if meta["path"].startswith(prefix):
                        yield _info(meta)
                    elif meta["path"] > prefix:
                        return

    def delete(self, key: str) -> None:
        with self._errors(key):
            try:
                self._client.delete(check_key(key))
            except FileNotFoundError:
                self._check_bucket()

    def _check_bucket(self) -> None:
        """A missing object and a missing bucket are one status in some replies: asked once which it is."""
        if not self._answered:
            next(self.list(), None)
            self._answered = True

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._unavailable(error) from None
            raise NotFound(f"{key} is not in {self.url}") from None
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
            raise Conflict(f"{key} in {self.url} was written by somebody else already") from None
        except exceptions.BaseError as error:
            raise self._unavailable(error) from error
        self._answered = True

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        reason = str(error).split("\n\nDebug source:")[0].strip()[:600]
        if "NoSuchBucket" in reason:
            hint = f"bucket {self._bucket} does not exist there: create it, or correct the URL"
        elif isinstance(error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError):
            hint = (
                "the credentials were refused: check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the bucket's policy"
            )
        else:
            hint = "check that it can be reached (AWS_ENDPOINT_URL), AWS_REGION, the credentials and the bucket"
        where = self._endpoint or "AWS"
        return StoreUnavailable(f"{self.url} at {where} cannot be used: {hint} ({reason})", retry_after_s=5.0)


def _info(meta: obstore.ObjectMeta) -> ObjectInfo:
    return ObjectInfo(meta["path"], meta["size"], meta["e_tag"] or "", meta["last_modified"])


_: type[ObjectStore] = S3Store
