"""A process that parses files one after the other, so that a parser that hangs or dies costs a file, not the job.

Run as `python -m index_builder.parser_process FD MEMORY_MIB TIME_S`. Requests and replies are messages on the socket
FD: first the settings, then a file each; a reply is a letter and its content.
"""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import socket
import subprocess
import sys
from multiprocessing.connection import Connection

import pyarrow as pa

from index_builder.parsed import PARSED_SCHEMA
from index_builder.parsing import ParsedFile, TransientError, parse_file
from index_builder.settings import JobSettings
from index_builder.sources import open_source
from index_builder.tasks import FileTask
from lineside.encoders.tokens import load_token_counter
from lineside.errors import LinesideError, Unavailable

_START_S = 120.0
_GRACE_S = 20
_MAX_REPLY_BYTES = 2**31 - 1
_ORIGINALS = pa.schema(
    [*PARSED_SCHEMA, ("original_keys", pa.list_(pa.binary(16))), ("originals", pa.list_(pa.large_binary()))]
)


class ParserDied(Exception):
    """The parser took too long, too much memory, or broke; the message says which and what to do."""


class ParserProcess:
    """The job's end: starts the process when it is first needed, and again after it died."""

    def __init__(self, settings: JobSettings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._stopped = False

    def parse(self, task: FileTask, maker: str) -> ParsedFile:
        """Raises ParserDied, TransientError; Unavailable where the source does not answer."""
        if self._process is None or self._process.poll() is not None:
            self._start()
        assert self._connection is not None
        limit = self._settings.parser.time_limit_s
        try:
            self._connection.send_bytes(json.dumps({"file": task.model_dump(mode="json"), "maker": maker}).encode())
            if not self._connection.poll(limit):
                raise ParserDied(f"took longer than {limit:g} s: split it, or raise the time limit")
            reply = self._connection.recv_bytes(_MAX_REPLY_BYTES)
        except ParserDied:
            self.close()
            raise
        except (OSError, EOFError) as error:
            raise ParserDied(self._why()) from error
        return _read_reply(reply, self._settings.parser.memory_limit_mib)

    def stop(self) -> None:
        """Ends the process for good, from any thread."""
        self._stopped = True
        self.close()

    def close(self) -> None:
        """Ends the process, whatever it is doing."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._connection = None

    def _why(self) -> str:
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        code = self._process.returncode
        self.close()
        if code is not None and code < 0:
            return f"broke the parser ({signal.Signals(-code).name}): export it again, or leave it out"
        return f"ended the parser (exit status {code}): export it again, or leave it out"

    def _start(self) -> None:
        self.close()
        if self._stopped:
            raise Unavailable("the job is being stopped")
        ours, theirs = socket.socketpair()
        parser = self._settings.parser
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "index_builder.parser_process",
                    str(theirs.fileno()),
                    str(parser.memory_limit_mib),
                    str(int(parser.time_limit_s) + _GRACE_S),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        self._connection = Connection(ours.detach())
        self._connection.send_bytes(self._settings.model_dump_json().encode())
        try:
            if not self._connection.poll(_START_S):
                self.close()
                raise Unavailable(f"a parsing process did not start within {_START_S:g} s: the machine is overloaded")
            _read_reply(self._connection.recv_bytes(_MAX_REPLY_BYTES), parser.memory_limit_mib)
        except (OSError, EOFError) as error:
            raise Unavailable(f"a parsing process could not start: {self._why()}") from error


def _read_reply(reply: bytes, memory_limit_mib: int) -> ParsedFile:
    kind, body = reply[:1], reply[1:]
    if kind == b"p":
        record = pa.ipc.open_stream(body).read_all().to_pylist()[0]
        keys, originals = record.pop("original_keys"), record.pop("originals")
        return ParsedFile(record, dict(zip(keys, originals, strict=True)))
    if kind == b"r":
        return ParsedFile({}, {})
    message = body.decode()
    if kind == b"t":
        raise TransientError(message)
    if kind == b"m":
        raise ParserDied(f"needs more than {memory_limit_mib} MiB to parse: split it, or raise the memory limit")
    if kind == b"u":
        raise Unavailable(message)
    raise LinesideError(message)


def _encode(parsed: ParsedFile) -> bytes:
    record = {**parsed.row, "original_keys": list(parsed.images), "originals": list(parsed.images.values())}
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, _ORIGINALS) as writer:
        writer.write_table(pa.Table.from_pylist([record], schema=_ORIGINALS))
    data = sink.getvalue()
    if len(data) >= _MAX_REPLY_BYTES:
        raise MemoryError
    return b"p" + data.to_pybytes()


def serve(connection: Connection, time_s: int) -> None:
    """Answers requests until the other end closes."""
    settings = JobSettings.model_validate_json(connection.recv_bytes())
    source = open_source(settings.source)
    count_tokens = load_token_counter(settings.text.folder)
    connection.send_bytes(b"r")
    while True:
        try:
            request = json.loads(connection.recv_bytes())
        except EOFError:
            return
        # Ends the process, even inside a loop of C code, when nobody is left to do it.
        signal.alarm(time_s)
        try:
            task = FileTask.model_validate(request["file"])
            reply = _encode(parse_file(task, request["maker"], source, settings.build, count_tokens))
        except TransientError as error:
            reply = b"t" + str(error).encode("utf-8", "replace")
        except MemoryError:
            reply = b"m"
        except Unavailable as error:
            reply = b"u" + str(error).encode("utf-8", "replace")
        except LinesideError as error:
            reply = b"e" + str(error).encode("utf-8", "replace")
        signal.alarm(0)
        connection.send_bytes(reply)


def main() -> None:
    """Entry point of the process."""
    descriptor, memory_mib, time_s = map(int, sys.argv[1:4])
    limit = memory_mib << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the job, which then closes the connection
    serve(Connection(descriptor), time_s)


if __name__ == "__main__":
    main()
