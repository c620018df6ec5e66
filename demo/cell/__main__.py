"""`make cell`: two gateways of a plant, watched: a new release reaches them, the network is cut, and comes back.

Run it with `python -m demo.cell`; `--once` ends it after the last step.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time

import structlog

from demo.cell.plant import HELD, Cell
from demo.prepare_models import lineside_home
from lineside.client import ServiceError, Unreachable
from lineside.errors import LinesideError
from lineside.schema import Answer

PRESSED = "With how much air pressure does the scraper blade press on the belt?"
ELSEWHERE = "What is the working pressure of the descaling pump at the header?"
"""Of the family pump, which cell-1 holds and cell-2 does not."""
_TOLD = ("0.6 bar", "0.4 bar", "0.5 bar")
_STARTED = time.monotonic()


def main(arguments: list[str] | None = None) -> int:
    """Entry point; the exit status is 0 when everything was as the demo says."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.cell", description="A cell of the demo plant, on one machine."
    )
    parser.add_argument("--once", action="store_true", help="stop at the end instead of leaving it running")
    parser.add_argument("--writer", action="store_true", help="gateways with a language model, 0.2 GB more each")
    options = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Ctrl-C and a kill take the same way out
    home = lineside_home()
    for needed in (home / "store" / "current.json", home / "models" / "encoders" / "encoders.json"):
        if not needed.is_file():
            print(f"error: no {needed}: run `make setup` first", file=sys.stderr)
            return 1
    cell = Cell(home / "cell", writer=options.writer)
    try:
        play(cell)
        if not options.once:
            _leave_running(cell)
        return 0
    except KeyboardInterrupt:
        print("\nStopping.")
        return 0
    except (LinesideError, ServiceError, Unreachable) as error:
        print(f"error: {error}; logs are in {os.path.relpath(cell.folder)}", file=sys.stderr)
        return 1
    finally:
        cell.stop()


def play(cell: Cell) -> None:
    """The whole demonstration.

    Raises:
        LinesideError: a part did not start, or an answer was not as it must be.
    """
    _step("A store (S3), a broker (MQTT with TLS and client certificates), the cluster's stand-in")
    cell.start_store()
    if not cell.start_broker():
        _say("mosquitto is not installed (Debian: apt-get install mosquitto): gateways look at the store every 5 s")
    cell.start_cluster()
    cell.make_keys()
    publication, new_mib = cell.publish()
    first = cell.catalogue.current().number
    _say(f"release {first} is signed and sealed: publication {publication}, {new_mib:.1f} MiB")

    _step("Two gateways start with nothing but a key and the root of trust")
    for name in HELD:
        cell.start_gateway(name)
    cell.wait_for_knowledge("cluster")
    for name in HELD:
        cell.wait_for(name, first)
        _say(f"{name} serves release {first}: {', '.join(cell.status(name)['gateway']['families'])}")
    _ask_both(cell, _TOLD[0])

    _step(f"A manual is revised: {_TOLD[0]} becomes {_TOLD[1]}. What changed is indexed and published")
    _publish_revision(cell, _TOLD[0], _TOLD[1])
    _ask_both(cell, _TOLD[1])

    _step("A question about the pumps, which cell-2 does not hold: the cluster answers")
    _expect(_show("cell-2", cell.ask("cell-2", ELSEWHERE, "pump")), served_by="cluster")

    _step("The network is cut: no store, no broker, no cluster")
    cell.network.cut()
    _ask_both(cell, _TOLD[1])
    _expect(_show("cell-2", cell.ask("cell-2", ELSEWHERE, "pump")), status="partial", served_by="cell-2")
    _say(f"meanwhile the manual is revised once more, to {_TOLD[2]}; the gateways cannot know")
    release = _revised(cell, _TOLD[1], _TOLD[2])
    _ask_both(cell, _TOLD[1])

    _step("The network returns: the gateways catch up by themselves")
    returned = time.monotonic()
    cell.network.mend()
    for name in HELD:
        cell.wait_for(name, release)
        _say(f"{name} serves release {release}, {time.monotonic() - returned:.1f} s after the cable was back")
    _ask_both(cell, _TOLD[2])


def _publish_revision(cell: Cell, old: str, new: str) -> None:
    release = _revised(cell, old, new)
    told = time.monotonic()
    for name in HELD:
        cell.wait_for(name, release)
        _say(f"{name} serves release {release}, {time.monotonic() - told:.1f} s after it was published")


def _revised(cell: Cell, old: str, new: str) -> int:
    release = cell.revise(old, new)
    publication, new_mib = cell.publish()
    cell.tell(publication)
    _say(f"release {release} is publication {publication}: {new_mib:.2f} MiB are new")
    return release


def _ask_both(cell: Cell, expected: str) -> None:
    print(f"\n    Question: {PRESSED}")
    for name in HELD:
        answer = _show(name, cell.ask(name, PRESSED), quiet=True)
        if expected not in answer.text:
            raise LinesideError(f"{name} does not say {expected}, but: {answer.text}")
        _expect(answer, served_by=name)


def _show(name: str, answer: Answer, *, quiet: bool = False) -> Answer:
    if not quiet:
        print(f"\n    Question about the pumps: {ELSEWHERE}")
    by = f"by {answer.served_by}, release {answer.release}, {answer.elapsed_ms:.0f} ms"
    print(f"    {name} [{answer.status}, {by}]: {answer.text or '(no answer)'}", flush=True)
    for degradation in answer.degraded:
        if degradation.stage == "routing":
            print(f"           {degradation.reason}", flush=True)
    return answer


def _expect(answer: Answer, *, served_by: str, status: str | None = None) -> None:
    if answer.served_by != served_by or status not in (None, answer.status):
        raise LinesideError(
            f"expected an answer of {served_by}{f' with status {status}' if status else ''}, "
            f"not of {answer.served_by} with status {answer.status}"
        )


def _leave_running(cell: Cell) -> None:
    print("\nIt runs on. Ask it yourself:\n")
    for name in HELD:
        print(f'  .venv/bin/lineside ask "{PRESSED}" --url {cell.url(name)}')
    print()
    for name in ("store", "cluster", *HELD):
        print(f"  {name:8s} {cell.url(name)}")
    print(f"\nSettings, state and logs: {os.path.relpath(cell.folder)}. Ctrl-C stops everything.", flush=True)
    while True:
        time.sleep(3_600)


def _step(title: str) -> None:
    print(f"\n{'─' * 100}\n{time.monotonic() - _STARTED:5.0f} s  {title}", flush=True)


def _say(line: str) -> None:
    print(f"    {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
