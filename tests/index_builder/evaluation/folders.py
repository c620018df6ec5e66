"""Judged folders for tests, written in a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

CORPUS = [
    {"_id": "coupling", "title": "Coupling", "text": "The coupling bolts of the rinse pump are tightened to 47 Nm."},
    {"_id": "seal", "title": "Seal", "text": "A mechanical seal that drips more than ten drops a minute is replaced."},
    {"_id": "filter", "title": "Filter", "text": "Clean the suction filter of the rinse pump once a week."},
]
QUERIES = [
    {
        "_id": "q1",
        "text": "What torque do the coupling bolts of the rinse pump get?",
        "metadata": {"answer": "Tighten the coupling bolts to 47 Nm."},
    },
    {"_id": "q2", "text": "When is a dripping mechanical seal replaced?"},
]
QRELS = "query-id\tcorpus-id\tscore\nq1\tcoupling\t1\nq2\tseal\t2\n"


def write_folder(
    root: Path,
    *,
    corpus: Iterable[Mapping[str, Any]] = CORPUS,
    queries: Iterable[Mapping[str, Any]] = QUERIES,
    qrels: str = QRELS,
) -> Path:
    """A folder in BEIR layout."""
    (root / "qrels").mkdir(parents=True)
    (root / "qrels" / "test.tsv").write_text(qrels, encoding="utf-8")
    for name, records in (("corpus", corpus), ("queries", queries)):
        lines = "".join(json.dumps(record) + "\n" for record in records)
        (root / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    return root
