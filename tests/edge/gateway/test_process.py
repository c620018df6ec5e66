"""`lineside edge run` as a real process: what it serves, and what becomes of it when things go wrong."""

from __future__ import annotations

import io
import socket
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from demo.ports import free_port
from tests.edge.gateway.cell import Cell, wait_for

pytestmark = pytest.mark.integration


def test_new_release_changes_answers_and_survives_a_kill_without_a_network(cell: Cell) -> None:
    cell.publish("47 Nm")
    settings = cell.settings()
    with cell.running(settings) as gateway:
        gateway.until_serving(1)
        assert "47 Nm" in gateway.ask()["text"]
        cell.publish("52 Nm")
        gateway.until_serving(2)
        answer = gateway.ask()
        assert "52 Nm" in answer["text"]
        citation = answer["sentences"][0]["citations"][0]
        assert "52 Nm" in gateway.get(citation["url"]).json()["text"]
        gateway.kill()
    cell.store.rename(cell.store.with_name("unplugged"))
    with cell.running(settings) as restarted:
        restarted.until_serving(2)
        assert "52 Nm" in restarted.ask()["text"]
        status = restarted.status()["gateway"]
        assert (status["name"], status["publication"], status["backup"]) == ("cell-1", 2, 1)
        assert status["families"] == ["drive", "pump"]


def test_gateway_waits_for_the_first_release_and_says_so(cell: Cell) -> None:
    with cell.running(cell.settings()) as gateway:
        gateway.until_up()
        waiting = gateway.get("/readyz")
        assert waiting.status_code == 503
        assert "no release has arrived yet" in waiting.json()["stages"]["knowledge"]
        refused = httpx.post(f"{gateway.url}/v1/answer", json={"question": "How hot?"}, timeout=30, trust_env=False)
        assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
        assert "Retry-After" in refused.headers
        cell.publish("47 Nm", models={"encoders": cell.encoders})
        gateway.until_serving(1)


def test_encoders_that_came_as_a_signed_model_are_used(cell: Cell) -> None:
    cell.publish("47 Nm", models={"encoders": cell.encoders})
    with cell.running(cell.settings(models=["encoders"], encoders={})) as gateway:
        gateway.until_serving(1)
        assert "47 Nm" in gateway.ask()["text"]


def test_release_of_another_encoder_is_refused_and_reported_while_the_old_one_serves(cell: Cell) -> None:
    cell.publish("47 Nm")
    with cell.running(cell.settings()) as gateway:
        gateway.until_serving(1)
        cell.publish("52 Nm", fingerprint="0123456789abcdef")
        gateway.until_event("update failed")
        assert "47 Nm" in gateway.ask()["text"]
        wait_for(lambda: gateway.status()["gateway"]["incidents"], gateway.log)
        status = gateway.status()
        assert "text encoder 0123456789abcdef" in status["gateway"]["incidents"][0]
        assert status["release"] == 1
        cell.publish("60 Nm")
        gateway.until_serving(3)


def test_pack_that_is_damaged_without_a_network_brings_the_backup_back(cell: Cell) -> None:
    cell.publish("47 Nm")
    with cell.running(cell.settings(check_every_s=0.5)) as gateway:
        gateway.until_serving(1)
        before = packs(cell)
        cell.publish("52 Nm")
        gateway.until_serving(2)
        fresh = packs(cell) - before
        assert fresh
        cell.store.rename(cell.store.with_name("unplugged"))
        for path in fresh:
            path.write_bytes(bytes(path.stat().st_size))
        gateway.until_event("rolled back")
        gateway.until_serving(1)
        assert "47 Nm" in gateway.ask()["text"]
        assert "damaged" in gateway.status()["gateway"]["incidents"][0]


def test_frames_are_kept_over_a_kill_and_found_as_evidence(cell: Cell) -> None:
    cell.publish("47 Nm")
    settings = cell.settings(window={"hours": 1})
    with cell.running(settings) as gateway:
        gateway.until_serving(1)
        wait_for(lambda: "records" in gateway.status()["gateway"]["parts"]["window"], gateway.log)
        url = f"{gateway.url}/v1/frames"
        kept = httpx.post(
            url,
            params={"camera": "press-1", "labels": ["worn"]},
            content=frame(),
            headers={"Content-Type": "image/png"},
            timeout=30,
            trust_env=False,
        )
        assert kept.status_code == 201, kept.text
        form = {"camera": "press-1", "time": "2020-01-01T00:00:00Z"}
        old = httpx.post(url, data=form, files={"image": frame()}, timeout=30, trust_env=False)
        assert (old.status_code, old.json()["code"]) == (422, "invalid_request")
        gateway.kill()
    with cell.running(settings) as restarted:
        restarted.until_serving(1)
        wait_for(lambda: "1 records" in restarted.status()["gateway"]["parts"]["window"], restarted.log)
        asked = httpx.post(
            f"{restarted.url}/v1/retrieve",
            data={"question": "What does the press look like?"},
            files={"image": frame()},
            timeout=30,
            trust_env=False,
        )
        frames = [e for e in asked.json()["evidence"] if e["camera_id"] == "press-1"]
        assert [f["label"] for f in frames] == ["worn"]
        assert restarted.get(frames[0]["image_url"]).headers["content-type"].startswith("image/")


def test_language_model_that_came_signed_writes_the_answer(cell: Cell, models_dir: Path) -> None:
    cell.publish("47 Nm", models={"writer": models_dir / "smollm2.gguf"})
    with cell.running(cell.settings(models=["writer"], writer={})) as gateway:
        gateway.until_serving(1)
        answer = gateway.ask(mode="generate", deadline_ms=30_000)
        assert answer["mode"] == "generated", answer["degraded"]
        assert "47 Nm" in answer["text"]


def test_sigterm_ends_it_cleanly_and_no_torch_was_loaded(cell: Cell) -> None:
    cell.publish("47 Nm")
    with cell.running(cell.settings()) as gateway:
        gateway.until_serving(1)
        mapped = Path(f"/proc/{gateway.process.pid}/maps").read_text()
        assert "torch" not in mapped
        assert "ray/" not in mapped
        assert gateway.end() == 0
        assert gateway.events()[-1] == "gateway_stopped"


def test_port_that_is_taken_is_said_in_one_line(cell: Cell) -> None:
    port = free_port()
    settings = cell.settings(http={"port": port})
    with socket.create_server(("127.0.0.1", port)), cell.running(settings) as gateway:
        assert gateway.process.wait(60) == 1
        assert f"cannot listen on 127.0.0.1:{port}" in gateway.log.read_text()


def packs(cell: Cell) -> set[Path]:
    return {path for path in (cell.root / "cell-1" / "state" / "packs").rglob("*") if path.is_file()}


def frame() -> bytes:
    out = io.BytesIO()
    noise = np.random.default_rng(3).integers(0, 255, (96, 128, 3), np.uint8)
    Image.fromarray(noise).save(out, "PNG")
    return out.getvalue()
