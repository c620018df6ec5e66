"""Object stores: folders and S3 buckets behind one small interface, with conditional writes."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from lineside.errors import ConfigurationError
from lineside.objects.contract import ObjectInfo, ObjectStore, StoreLimits
from lineside.objects.folder import FolderStore

__all__ = ["FolderStore", "ObjectInfo", "ObjectStore", "StoreLimits", "open_store"]


def open_store(url: str | Path, limits: StoreLimits = StoreLimits()) -> ObjectStore:
    """The store that a folder, `file:///folder` or `s3://bucket/prefix` names; nothing is contacted yet.

    For S3, endpoint, region and credentials come from AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or from the role of the machine or the pod.

    Raises:
        ConfigurationError: the URL names no store that is known.
    """
    if isinstance(url, Path) or "://" not in url:
        if not str(url):
            raise ConfigurationError("the store's URL is empty: give a folder or s3://bucket/prefix")
        return FolderStore(Path(url))
    parts = urlsplit(url)
    if parts.query or parts.fragment or parts.username or parts.password:
        raise ConfigurationError(f"{parts.scheme}://{parts.hostname}{parts.path}: a store's URL has only a path")
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path:
        return FolderStore(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.netloc:
        from lineside.objects.s3 import S3Store  # loads its library, which a folder does not need

        return S3Store(parts.netloc, unquote(parts.path).strip("/"), limits)
    raise ConfigurationError(f"{url} names no store: give a folder, file:///folder or s3://bucket/prefix")
