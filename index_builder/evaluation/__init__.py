"""Evaluation that builds shards: judged corpora in BEIR layout, and the bar that a release must pass."""
