"""Whether a gateway's encoders give the cluster's vectors: `python -m benchmarks.edge_fidelity`

Compares exported encoders in bfloat16 and int8 with the encoder that made the knowledge (Hugging Face folder, OpenVINO
bfloat16): cosine vector by vector on real passages and questions, and how many of the first ten rows found by a
question's exported vector among the cluster's rows are those that the cluster's own vector finds. Each precision is
loaded in a process of its own, whose memory and seconds to the first vectors are printed too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.report import table

COSINE_BAR, OVERLAP_BAR, TOP = 0.99, 0.95, 10
SPACES = ("text", "joint text", "image")

# Runs where torch is not: rows of every space as .npy files, and what loading took.
CHILD = """
import json, resource, sys, time
begun = time.perf_counter()
from pathlib import Path
import numpy as np
from lineside.encoders import QuestionEncoder, Runtime, load_joint_encoder, load_text_encoder, read_image
folder, dtype, work = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
runtime = Runtime(dtype=dtype, threads=2)
text, joint = load_text_encoder(folder, runtime=runtime), load_joint_encoder(folder, runtime=runtime)
questions = QuestionEncoder(text, joint)
texts = json.loads((work / "texts.json").read_text())
images = [read_image(path.read_bytes(), wanted_side=joint.image_side) for path in sorted(work.glob("*.image"))]
questions.encode(texts[:1])
joint.encode_images(images[:1])
ready = time.perf_counter() - begun
def held(field):
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field + ":"))
memory = {"rss": held("Rss"), "pss": held("Pss")}
text_rows, joint_rows = questions.encode(texts)
np.save(work / f"{dtype}-text.npy", text_rows)
np.save(work / f"{dtype}-joint text.npy", joint_rows)
np.save(work / f"{dtype}-image.npy", joint.encode_images(images))
assert "torch" not in sys.modules and "transformers" not in sys.modules
print(json.dumps({"ready_s": ready, "after_mib": held("Rss"), **memory}))
"""


@dataclass(frozen=True)
class Agreement:
    """Cosines of exported rows to the cluster's, and the mean share of the first ten that are the same."""

    space: str
    least: float
    median: float
    overlap: float


def agreement(space: str, ours: np.ndarray, theirs: np.ndarray, knowledge: np.ndarray) -> Agreement:
    """All float32 and L2-normalised: `ours` and `theirs` (n, d) ask for rows of `knowledge` (m, d)."""
    cosines = np.einsum("nd,nd->n", ours, theirs)
    expected, found = (np.argpartition(-(rows @ knowledge.T), TOP, axis=1)[:, :TOP] for rows in (theirs, ours))
    same = [len(set(a) & set(b)) / TOP for a, b in zip(expected.tolist(), found.tolist(), strict=True)]
    return Agreement(space, float(cosines.min()), float(np.median(cosines)), float(np.mean(same)))


def passages_of(names: Sequence[str], count: int, shared: Path) -> list[str]:
    """Up to `count` passages as they are encoded, spread over the manuals in these folders.

    Raises:
        FileNotFoundError: a folder is not there.
    """
    from ingest.chunk import chunk
    from ingest.parse import is_document, parse
    from ingest.source import read_folder
    from lineside.encoders.tokens import load_token_counter
    from lineside.shards import encoder_text

    counter = load_token_counter(_home() / "models" / "minilm")
    found: list[str] = []
    for name in names:
        if not (shared / name).is_dir():
            raise FileNotFoundError(f"{shared / name} is not there")
        for source in read_folder(shared / name):
            if is_document(source.path):
                for document in parse(source).documents:
                    found += [encoder_text(p) for p in chunk(document, count_tokens=counter, max_tokens=160)]
    return found[:: max(1, len(found) // count)][:count]


def exported(folder: Path, dtype: str, work: Path) -> dict[str, float]:
    """Encodes everything in `work` in a fresh process; its memory in MiB and seconds."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder), dtype, str(work)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> int:
    """Command line; 1 where bfloat16, in which gateways run, misses a bar."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.edge_fidelity", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--passages", type=int, default=2_000)
    parser.add_argument("--questions", type=int, default=500, help="of the passages' sentences, as questions")
    parser.add_argument(
        "--shared", type=Path, default=Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    )
    options = parser.parse_args()
    models = _home() / "models"
    try:
        passages = passages_of(("marlin", "linuxcnc"), options.passages, options.shared)
    except FileNotFoundError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    from lineside.encoders import QuestionEncoder, Runtime, load_joint_encoder, load_text_encoder, read_image

    questions = [passage.split(". ")[-1][:200] for passage in passages[:: max(1, len(passages) // options.questions)]]
    texts = [*passages, *questions]
    runtime = Runtime(threads=2)
    text, joint = (
        load_text_encoder(models / "minilm", runtime=runtime),
        load_joint_encoder(models / "joint-demo", runtime=runtime),
    )
    begun = time.perf_counter()
    frames = sorted((_home() / "demo").rglob("*.jpg"))
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        (work / "texts.json").write_text(json.dumps(texts))
        for number, frame in enumerate(frames):
            (work / f"{number:05}.image").write_bytes(frame.read_bytes())
        text_rows, joint_rows = QuestionEncoder(text, joint).encode(texts)
        assert joint_rows is not None
        images = [read_image(frame.read_bytes(), wanted_side=joint.image_side) for frame in frames]
        cluster = {"text": text_rows, "joint text": joint_rows, "image": joint.encode_images(images)}
        print(f"{len(passages):,} passages, {len(questions):,} questions, {len(frames):,} frames; cluster's vectors: "
              f"{time.perf_counter() - begun:.0f} s", flush=True)  # fmt: skip
        lines, passed = [], True
        for dtype in ("bfloat16", "int8"):
            took = exported(models / "encoders", dtype, work)
            for space in SPACES:
                rows = np.load(work / f"{dtype}-{space}.npy", allow_pickle=False)
                known = cluster[space] if space == "image" else cluster[space][: len(passages)]
                asking = slice(None) if space == "image" else slice(len(passages), None)
                all_rows = agreement(space, rows, cluster[space], known)
                found = agreement(space, rows[asking], cluster[space][asking], known)
                lines.append([dtype, space, f"{all_rows.least:.4f}", f"{all_rows.median:.5f}", f"{found.overlap:.3f}"])
                if dtype == "bfloat16":
                    passed &= all_rows.least >= COSINE_BAR and found.overlap >= OVERLAP_BAR
            print(
                f"{dtype}: ready in {took['ready_s']:.2f} s, {took['rss']:.0f} MiB resident ({took['pss']:.0f} "
                f"proportional), {took['after_mib']:.0f} MiB after batches of {runtime.max_batch} passages",
                flush=True,
            )
        print(table(["precision", "space", "least cosine", "median", f"top-{TOP} overlap"], lines))
    return 0 if passed else 1


def _home() -> Path:
    return Path(os.environ.get("LINESIDE_HOME") or ".lineside").absolute()


if __name__ == "__main__":
    sys.exit(main())
