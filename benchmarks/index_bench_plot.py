"""The index benchmark as a picture: recall against queries a second, and bytes a vector at a recall."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

_BAR: Final = 0.95


def draw(measured: Sequence[dict[str, Any]], path: Path) -> None:
    """One row a data set: recall and speed of every point, singly and in batches, then speed and size at the bar."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(m["data"] for m in measured))
    systems = list(dict.fromkeys(m["system"] for m in measured))
    colours = dict(zip(systems, plt.get_cmap("tab20").colors * 3, strict=False))
    figure, axes = plt.subplots(
        max(len(names), 1), 3, figsize=(21, 5 * max(len(names), 1)), constrained_layout=True, squeeze=False
    )
    for (left, middle, right), name in zip(axes, names, strict=False):
        for m in (m for m in measured if m["data"] == name):
            style = _style(m["system"])
            points = m["points"]
            recalls = [p["recall"] for p in points]
            for axis, rate in ((left, "qps"), (middle, "batch_qps")):
                axis.plot(recalls, [p[rate] for p in points], color=colours[m["system"]], label=m["system"], **style)
            reaching = [p for p in points if p["recall"] >= _BAR]
            if reaching:
                best = max(reaching, key=lambda p: p["qps"])
                right.plot(m["bytes"] / m["rows"], best["qps"], color=colours[m["system"]], **style)
                right.annotate(
                    m["system"],
                    (m["bytes"] / m["rows"], best["qps"]),
                    textcoords="offset points",
                    xytext=(5, 4),
                    fontsize=7,
                )
        for axis, how in ((left, "single queries"), (middle, "batches of 64")):
            axis.set(title=f"{name}: one thread, {how}", xlabel="recall@10", ylabel="queries a second")
            axis.set_xlim(0.85, 1.002)
            axis.set_yscale("log")
        right.margins(x=0.2, y=0.1)
        right.set(
            title=f"{name}: single queries at recall {_BAR} or more", xlabel="bytes a vector", ylabel="queries a second"
        )
        for axis in (left, middle, right):
            axis.grid(alpha=0.25, which="both")
        left.legend(fontsize=7, frameon=False, loc="lower left")
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _style(system: str) -> dict[str, Any]:
    """What the builder chose stands out; what others make is dashed."""
    if system.startswith("builder"):
        return {"marker": "*", "markersize": 14, "linestyle": "none"}
    own = system.startswith(("IVF", "HNSW", "Flat"))
    return {"marker": "o" if own else "s", "markersize": 4, "linestyle": "-" if own else "--"}
