"""Learns how alike questions are in what they ask (`lineside.search.question_metric`) from the known questions.

    python -m demo.train_question_metric                      # the demo plant's, all families
    python -m demo.train_question_metric --leave-out drive pump   # how well it carries over: judged on these alone

Neighbourhood components analysis (Goldberger, Hinton, Roweis and Salakhutdinov 2004), a family at a time: the softmax
over a question's neighbours should fall on those that are answered, or not, as it is. Prints the share of questions
whose neighbours agree with them, before and after. The question sets that answering is measured with are not read.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import normalize

from demo.prepare_models import lineside_home
from lineside.releases import Catalogue
from lineside.search.known_questions import WIDTH
from lineside.search.question_metric import FOLDER, QuestionMetric
from lineside.shards import Shard

_RANK = 64
_STEPS = 320
_RATE = 3e-3
_RIDGE = 1e-3


def agreement(vectors: torch.Tensor, answered: torch.Tensor) -> torch.Tensor:
    """(n,): log of the share of a question's kernel that falls on questions of its kind. vectors: (n, d), unit rows."""
    scores = (vectors @ vectors.T - 1) / WIDTH
    scores.fill_diagonal_(-torch.inf)
    same = answered[:, None] == answered[None]
    return torch.logsumexp(scores.masked_fill(~same, -torch.inf), 1) - torch.logsumexp(scores, 1)


def learn(families: Sequence[tuple[torch.Tensor, torch.Tensor]], steps: int, seed: int = 0) -> QuestionMetric:
    """From (vectors, answered) of each family."""
    dimension = families[0][0].shape[1]
    generator = torch.Generator().manual_seed(seed)
    down = (0.05 * torch.randn(dimension, _RANK, generator=generator)).requires_grad_()
    up = torch.zeros(_RANK, dimension, requires_grad=True)
    optimiser = torch.optim.Adam([down, up], lr=_RATE)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = _RATE * min(1.0, 2 * (steps - step) / steps)
        vectors, answered = families[step % len(families)]
        moved = normalize(vectors + (vectors @ down) @ up, dim=1)
        loss = -agreement(moved, answered).mean() + _RIDGE * (down @ up).pow(2).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if (step + 1) % 20 == 0:
            print(f"  step {step + 1:4}: loss {loss.item():.3f}", flush=True)
    return QuestionMetric(down.detach().numpy(), up.detach().numpy())


def _share(vectors: np.ndarray, answered: torch.Tensor) -> float:
    return float((agreement(torch.from_numpy(vectors), answered).exp() > 0.5).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, default=lineside_home() / "store")
    parser.add_argument("--steps", type=int, default=_STEPS)
    parser.add_argument("--leave-out", nargs="*", default=[], metavar="FAMILY", help="nothing is written")
    options = parser.parse_args()
    catalogue = Catalogue(options.store)
    shards = [Shard.open(path) for path in catalogue.paths(catalogue.current())]
    known = {s.family: (s.known.vectors.astype(np.float32), torch.from_numpy(s.known.answered)) for s in shards}
    known = {family: found for family, found in known.items() if len(found[1])}
    if not known.keys() - set(options.leave_out):
        raise SystemExit(f"{options.store} has no known questions to learn from: run `make knowledge`")
    learnt = [family for family in known if family not in options.leave_out]
    metric = learn([(torch.from_numpy(known[f][0]), known[f][1]) for f in learnt], options.steps)
    for family, (vectors, answered) in known.items():
        before, after = _share(vectors, answered), _share(metric(vectors), answered)
        print(f"{family:<12}{'left out' if family in options.leave_out else '':<9} {before:6.1%} → {after:6.1%}")
    if not options.leave_out:
        target = FOLDER / f"{shards[0].manifest.fingerprints['text']}.npz"
        target.parent.mkdir(exist_ok=True)
        metric.save(target)
        print(f"{target.name}: {target.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
