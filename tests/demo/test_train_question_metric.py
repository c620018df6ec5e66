"""Learning how alike questions are: neighbours come to agree where a direction tells what is asked."""

from __future__ import annotations

import torch
from torch.nn.functional import normalize

from demo.train_question_metric import agreement, learn


def test_what_is_asked_is_found_behind_what_it_is_about() -> None:
    """Subjects fill most of the space; one weak direction tells whether a question is answered."""
    generator = torch.Generator().manual_seed(1)
    subjects = torch.randn(30, 32, generator=generator).repeat_interleave(4, 0)
    answered = torch.arange(len(subjects)) % 2 == 0
    subjects[:, 0] = torch.where(answered, 0.6, -0.6) + 0.1 * torch.randn(len(subjects), generator=generator)
    vectors = normalize(subjects + 0.2 * torch.randn(subjects.shape, generator=generator), dim=1)
    metric = learn([(vectors, answered)], steps=80)
    before = agreement(vectors, answered).exp().mean()
    after = agreement(torch.from_numpy(metric(vectors.numpy())), answered).exp().mean()
    assert before < 0.7
    assert after > before + 0.2
