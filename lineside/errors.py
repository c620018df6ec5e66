"""Every error that Lineside raises on purpose, as one tree.

LinesideError
├── RequestError              the caller can mend it; maps to 4xx
│   ├── InvalidRequest        400/422  a field is missing, malformed or out of bounds
│   ├── TooLarge              413      a body, image, text or count is over its limit
│   ├── UnsupportedImage      415      not an image, a damaged one, or a format that is not read
│   ├── Conflict              409      somebody else changed it meanwhile
│   └── NotFound              404      family, document, page, section, figure or release that is not there
├── Unavailable               503      cannot be done now; comes with seconds to wait
│   ├── Overloaded            503      admission refused the request
│   ├── NotReady              503      models or a release are still loading
│   └── StoreUnavailable      503      the object store does not answer, or refuses the credentials
├── DeadlineExceeded          504      a stage ran past the request's deadline
├── ConfigurationError        settings that cannot work; raised before anything starts
├── DataError                 stored data that cannot be used
│   ├── ParseError            a source file that cannot be read as what it says it is
│   ├── ShardError            a shard that is malformed or of an unknown format
│   └── IntegrityError        a checksum, size or signature that does not match
├── BelowBar                  a measured quality does not reach its bar, so that a release is not promoted
└── GenerationError           the language model's engine failed
"""

from __future__ import annotations

from typing import ClassVar


class LinesideError(Exception):
    """Root of the tree. `code` is the stable, machine-readable name that leaves in error responses."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500


class RequestError(LinesideError):
    """The request cannot be served as it is; the message says what to change."""

    code = "invalid_request"
    status = 400


class InvalidRequest(RequestError):
    """A field is missing, malformed or out of bounds."""

    status = 422


class TooLarge(RequestError):
    """Something that came from outside is over its limit."""

    code = "too_large"
    status = 413


class UnsupportedImage(RequestError):
    """The bytes are not an image that can be read."""

    code = "unsupported_image"
    status = 415


class Conflict(RequestError):
    """Somebody else changed it meanwhile; read it again and repeat."""

    code = "conflict"
    status = 409


class NotFound(RequestError):
    """The named thing is not in the current release."""

    code = "not_found"
    status = 404


class Unavailable(LinesideError):
    """The service cannot do this now; `retry_after_s` says when to try again."""

    code = "unavailable"
    status = 503

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[type[Unavailable], tuple[str, float]]:
        return (type(self), (str(self), self.retry_after_s))


class Overloaded(Unavailable):
    """Admission control refused the request."""

    code = "overloaded"


class NotReady(Unavailable):
    """A model or a release is still loading."""

    code = "not_ready"


class StoreUnavailable(Unavailable):
    """The object store did not answer or refused the credentials, after bounded retries."""

    code = "store_unavailable"


class DeadlineExceeded(LinesideError):
    """A stage did not finish within the request's deadline."""

    code = "deadline_exceeded"
    status = 504


class ConfigurationError(LinesideError):
    """Settings that cannot work."""

    code = "configuration"


class DataError(LinesideError):
    """Stored data that cannot be used."""

    code = "data"


class ParseError(DataError):
    """A source file that cannot be read as what it says it is."""

    code = "parse"


class ShardError(DataError):
    """A shard that is malformed or of an unknown format."""

    code = "shard"


class IntegrityError(DataError):
    """A checksum, size or signature that does not match."""

    code = "integrity"


class BelowBar(LinesideError):
    """A measured quality does not reach the bar that was set for it."""

    code = "below_bar"


class GenerationError(LinesideError):
    """The language model's engine failed."""

    code = "generation"
    status = 502
