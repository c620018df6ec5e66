"""Where torch, transformers and Ray are not installed, knowledge made with them is answered from all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from index_builder.build import build_release
from index_builder.settings import ModelSettings
from lineside.releases import Catalogue
from tests.shards.knowledge import picture

MANUAL = """# Rinse pump P-7

## Bearing limits

The bearing of the rinse pump may reach 82 °C. Above 90 °C the pump trips.
"""

WITHOUT = """
import sys

ABSENT = ("torch", "transformers", "safetensors", "ray", "vllm")

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""

ANSWER = """
import asyncio
from pathlib import Path
from lineside.local import LocalApplication
from lineside.schema import AnswerRequest

home, store, frame = map(Path, sys.argv[1:])
with LocalApplication.load(home, store=store, text_model="encoders", joint_model="encoders") as application:
    async def ask():
        request = AnswerRequest(question="How hot may the bearing of the rinse pump become?", mode="extract")
        deadline = application.answerer.deadline(request)
        answer = await application.answerer.answer(request, frame.read_bytes(), request_id="1", deadline=deadline)
        print(answer.text.replace("\\n", " "))
        print(*{degraded.stage for degraded in answer.degraded})

    asyncio.run(ask())
assert not [name for name in ABSENT if name in sys.modules]
"""

REFUSED = """
from lineside.encoders import load_text_encoder
try:
    load_text_encoder(sys.argv[1])
except Exception as error:
    print(type(error).__name__, error)
"""


def run(script: str, *arguments: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT + script, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def store(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release whose vectors were made by torch's models."""
    root = tmp_path_factory.mktemp("plant")
    (root / "source" / "pump").mkdir(parents=True)
    (root / "source" / "pump" / "manual.md").write_text(MANUAL, encoding="utf-8")
    text, joint = (ModelSettings(folder=models_dir / name) for name in ("minilm", "joint-demo"))
    build_release(root / "source", Catalogue(root / "store"), text, joint, isolated=False)
    return root / "store"


@pytest.mark.slow
def test_a_question_and_a_frame_are_answered_without_torch(
    store: Path, encoders_folder: Path, lineside_home: Path, tmp_path: Path
) -> None:
    frame = tmp_path / "frame.png"
    frame.write_bytes(picture(0))
    answer, degraded = run(ANSWER, lineside_home, store, frame).split("\n")[:2]
    assert "The bearing of the rinse pump may reach 82 °C." in answer
    assert "encode_image" not in degraded


@pytest.mark.slow
def test_a_hugging_face_folder_says_what_it_needs(models_dir: Path) -> None:
    said = run(REFUSED, models_dir / "minilm")
    assert said.startswith("ConfigurationError")
    assert "install lineside[encoders]" in said
