"""The folder of a window: who may write to it, which key it is under, which buckets lie in it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from edge.sync.durable import remove_unfinished, write_durably
from edge.window.bucket import FRAMES, IMAGES, NAME, SPANS, Bucket, read_bucket
from edge.window.codes import VectorCodes
from edge.window.sealed_log import LogReader, LogWriter
from lineside.errors import ConfigurationError, DataError, IntegrityError

_LOCK = "lock"
_KEY_CHECK = "key-check"
_CHECKED = b"lineside window key"


class WindowFolder:
    """Held by one process at a time until it is closed or ends."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigurationError where another process holds it, or it cannot be written to."""
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError(f"the window's folder {path} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise ConfigurationError(
                f"another process writes to the window in {path}: one gateway, one folder"
            ) from None

    def close(self) -> None:
        os.close(self._lock)

    def read(self, key: bytes, fingerprint: str, codes: VectorCodes) -> list[Bucket]:
        """The buckets, oldest first. What a killed writer or remover left behind is deleted.

        Raises:
            ConfigurationError: none of them opens under this key, nor does the check; or another version wrote one.
            DataError: the disk does not let them be read.
        """
        try:
            remove_unfinished(self.path)
            sequences = self._sequences()
            buckets = [read_bucket(self.path, sequence, key, fingerprint, codes) for sequence in sequences]
            checked = self._key_checks(key)
            if not checked and buckets and not any(bucket.made for bucket in buckets):
                raise ConfigurationError(
                    f"the window in {self.path} was written under another key: give the gateway's key back, "
                    "or move the folder away to begin a new window"
                )
            if not checked:
                self._write_key_check(key)
            for bucket in buckets:
                if bucket.holds_nothing():
                    bucket.remove()
            return [bucket for bucket in buckets if not bucket.holds_nothing()]
        except OSError as error:
            raise DataError(f"the window in {self.path} cannot be read: {error}") from error

    def _sequences(self) -> list[int]:
        """Of the buckets that are there; files without theirs are removed."""
        found = {p.stem for p in self.path.iterdir() if p.suffix == FRAMES and NAME.fullmatch(p.stem)}
        for path in self.path.iterdir():
            if path.suffix in (IMAGES, SPANS) and NAME.fullmatch(path.stem) and path.stem not in found:
                path.unlink()
        return sorted(int(name, 16) for name in found)

    def _key_checks(self, key: bytes) -> bool:
        path = self.path / _KEY_CHECK
        if not path.exists():
            return False
        try:
            records = LogReader(path.read_bytes(), key, b"key check").records()
            return next((r.plain for r in records), None) == _CHECKED
        except IntegrityError:
            return False

    def _write_key_check(self, key: bytes) -> None:
        made = self.path / f".writing-{_KEY_CHECK}"
        made.unlink(missing_ok=True)
        log = LogWriter(made, key, b"key check", 0)
        log.append(_CHECKED)
        log.close(settled=True)
        write_durably(self.path / _KEY_CHECK, made.read_bytes())
        made.unlink()
