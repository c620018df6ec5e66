"""The figures of the benchmark that swaps releases under load."""

import json
from collections import Counter

from benchmarks.release_swap import Counts


def test_counts_by_release_are_written_as_json() -> None:
    counts = Counts(requests=3, responses_by_release=Counter({1: 2, 2: 1}), seconds_until_served={"release 2": 1.5})

    written = json.loads(counts.as_json("s3://plant/lineside"))

    assert written["responses_by_release"] == {"1": 2, "2": 1}
    assert written["passed"]
    assert written["store"] == "s3://plant/lineside"
