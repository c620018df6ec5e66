"""Keys: which names an object may have, in every store alike."""

from __future__ import annotations

from lineside.errors import InvalidRequest

MAX_KEY_BYTES = 1024
"""Of a whole key in UTF-8, as in S3."""


def check_key(key: str) -> str:
    """The key itself, where it names one object below the root of any store.

    Raises:
        InvalidRequest: it does not.
    """
    problem = None
    if not key:
        problem = "it is empty"
    elif len(key.encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES:
        problem = f"it has more than {MAX_KEY_BYTES} bytes"
    elif any(character < " " or character in "\x7f\\" or "\ud800" <= character <= "\udfff" for character in key):
        problem = "control characters and backslashes are not allowed"
    elif any(segment in ("", ".", "..") for segment in key.split("/")):
        problem = "segments between the slashes must not be empty, '.' or '..'"
    if problem:
        raise InvalidRequest(f"{key[:200]!r} cannot be an object's key: {problem}")
    return key


def check_prefix(prefix: str) -> str:
    """The same for the beginning of keys, which may be empty or end in the middle of a segment.

    Raises:
        InvalidRequest: no key can start so.
    """
    if prefix:
        check_key(f"{prefix}x")
    return prefix
