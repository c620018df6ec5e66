"""`make demo`: starts the application, asks a question with a picture, prints the cited answer, and leaves it running.

Run it with `python -m demo.run`; `--once` stops the application after the answer.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import yaml

from demo.prepare_models import lineside_home
from demo.render_frames import HELD_OUT, render_frame
from lineside.cli import describe
from lineside.client import Client, ServiceError, Unreachable

_ROOT = Path(__file__).resolve().parent.parent
_CONFIG = _ROOT / "serve_config.yaml"
_READY_WITHIN_S = 300.0

QUESTION = "What does this camera show, and what should I do about it?"
LABEL = "thermal-bearing-hot"
SECOND_QUESTION = "What does alarm HYD-A14 mean?"


def main(arguments: list[str] | None = None) -> int:
    """Entry point; the exit status is 0 when the question was answered."""
    parser = argparse.ArgumentParser(description="Start the demo and ask it a question with a picture.")
    parser.add_argument("--once", action="store_true", help="stop after the answer instead of serving until Ctrl-C")
    parser.add_argument("--config", type=Path, default=_CONFIG, help="the application's configuration")
    options = parser.parse_args(arguments)

    url = _url(options.config)
    if _answers(url):
        print(f"error: something listens on {url} already; stop it, or change http_options.port", file=sys.stderr)
        return 1
    log = lineside_home() / "demo" / "serve.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    frame = lineside_home() / "demo" / "frame.jpg"
    render_frame(LABEL, HELD_OUT.start + 7).save(frame, quality=90)

    print(f"Starting the application; its log is {os.path.relpath(log)}.")
    with log.open("wb") as stream:
        service = subprocess.Popen(
            [sys.executable, "-m", "lineside.cli", "serve", str(options.config)],
            cwd=_ROOT,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    # Ctrl-C and a kill take the same way out, which stops the service.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if not _wait(service, url):
            print(f"error: the application did not get ready; see {log}", file=sys.stderr)
            return 1
        _ask(url, frame)
        if not options.once:
            print(f"\nThe service runs at {url} (interactive description: {url}/docs). Ask it yourself:\n")
            print(f'  .venv/bin/lineside ask "{SECOND_QUESTION}"')
            print(f'  .venv/bin/lineside ask "{QUESTION}" --image {os.path.relpath(frame)} --json\n')
            print("Ctrl-C stops it.", flush=True)
            service.wait()
        return 0
    except KeyboardInterrupt:
        print("\nStopping.")
        return 0
    except (ServiceError, Unreachable) as error:
        print(f"error: {error}; see {log}", file=sys.stderr)
        return 1
    finally:
        _stop(service)


def _ask(url: str, frame: Path) -> None:
    with Client(url) as client:
        for question, image in ((QUESTION, frame), (SECOND_QUESTION, None)):
            print(f"\n{'─' * 100}\nQuestion: {question}")
            if image:
                print(f"Frame:    {os.path.relpath(image)}")
            print(f"\n{describe(client.answer(question, image=image), url)}", flush=True)


def _wait(service: subprocess.Popen[bytes], url: str) -> bool:
    """Until every stage is ready; says what is still missing when that changes."""
    started, told = time.monotonic(), ""
    while time.monotonic() - started < _READY_WITHIN_S:
        if service.poll() is not None:
            return False
        try:
            reply = httpx.get(f"{url}/readyz", timeout=10, trust_env=False)
            stages = reply.json()["stages"]
        except (httpx.TransportError, ValueError, KeyError):
            state = "starting Ray Serve"
        else:
            if reply.status_code == 200:
                print(f"  {time.monotonic() - started:5.0f} s  every stage is ready")
                return True
            state = "waiting for " + ", ".join(name for name, said in stages.items() if said != "ready")
        if state != told:
            print(f"  {time.monotonic() - started:5.0f} s  {state}", flush=True)
            told = state
        time.sleep(1)
    return False


def _answers(url: str) -> bool:
    try:
        httpx.get(f"{url}/healthz", timeout=2, trust_env=False)
    except httpx.TransportError:
        return False
    return True


def _stop(service: subprocess.Popen[bytes]) -> None:
    """Asks as Ctrl-C does, so that Serve shuts its replicas down; insists after half a minute."""
    if service.poll() is None:
        os.killpg(service.pid, signal.SIGINT)
        try:
            service.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(service.pid, signal.SIGKILL)


def _url(config: Path) -> str:
    http = (yaml.safe_load(config.read_text()) or {}).get("http_options") or {}
    return f"http://{http.get('host', '127.0.0.1')}:{http.get('port', 8000)}"


if __name__ == "__main__":
    sys.exit(main())
