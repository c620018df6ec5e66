"""How every gateway is, beside what it should run: for people as a table, for programs as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edge.fleet.reports import GatewayReport
from edge.fleet.rollout import judge
from edge.fleet.settings import FleetSettings, RolloutSettings
from edge.trust.fleet_documents import FleetDocuments
from edge.trust.staging import Edition, RolloutRecord, wanted

Standing = Literal["ok", "updating", "failed", "silent", "ahead"]
_STYLES: dict[str, str] = {
    "ok": "green",
    "updating": "yellow",
    "failed": "bold red",
    "silent": "dim",
    "ahead": "yellow",
}


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """One row.

    wave: None outside a rollout. wanted, serves: publication and release. age_s: of the report. standing: ok (serves
    what it should), updating (not yet), failed, silent (no fresh report), ahead (still on a withdrawn publication).
    """

    gateway: str
    cell: str | None
    wave: int | None
    wanted: Edition
    serves: Edition | None
    state: str
    standing: Standing
    age_s: float | None
    version: str
    version_wanted: str | None
    families: int
    reason: str


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """The rollout and all gateways, those that need attention first."""

    rollout: RolloutRecord
    waves: tuple[int, ...]
    gateways: tuple[GatewayStatus, ...]
    next_step: str = ""

    def counts(self) -> dict[str, int]:
        """Gateways by standing."""
        return {name: found for name in _STYLES if (found := sum(g.standing == name for g in self.gateways))}

    def json(self) -> dict[str, Any]:
        return {
            "rollout": self.rollout.model_dump(mode="json"),
            "waves": list(self.waves),
            "counts": self.counts(),
            "next_step": self.next_step,
            "gateways": [
                {**asdict(g), "wanted": g.wanted.model_dump(), "serves": g.serves and g.serves.model_dump()}
                for g in self.gateways
            ],
        }


def fleet_status(
    fleet: FleetSettings,
    documents: FleetDocuments,
    reports: Mapping[str, GatewayReport],
    now: datetime,
    next_step: str = "",
) -> FleetStatus:
    """`next_step`: what the controller says that it waits for.

    Raises IntegrityError where the signed documents contradict each other.
    """
    rollout, waves = documents.rollout, documents.waves
    assert rollout is not None
    settings = fleet.rollout_settings
    wave_of = {name: n for n, wave in enumerate(() if waves is None else waves.waves, 1) for name in wave}
    rows = []
    for name, gateway in fleet.gateways.items():
        report = reports.get(name)
        edition = wanted(rollout, waves, name)
        serves = None
        if report is not None and report.publication is not None and report.release is not None:
            serves = Edition(publication=report.publication, release=report.release)
        standing, why = _standing(report, edition, rollout, now, settings)
        rows.append(
            GatewayStatus(
                gateway=name,
                cell=gateway.cell,
                wave=wave_of.get(name) if rollout.candidate else None,
                wanted=edition,
                serves=serves,
                state="" if report is None else report.state,
                standing=standing,
                age_s=None if report is None else round((now - report.at).total_seconds(), 1),
                version="" if report is None else report.version,
                version_wanted=gateway.version or fleet.version,
                families=0 if report is None else len(report.families),
                reason=why,
            )
        )
    order = ["failed", "ahead", "silent", "updating", "ok"]
    rows.sort(key=lambda row: (order.index(row.standing), row.wave or 0, row.gateway))
    return FleetStatus(rollout, () if waves is None else tuple(map(len, waves.waves)), tuple(rows), next_step)


def _standing(
    report: GatewayReport | None, edition: Edition, rollout: RolloutRecord, now: datetime, settings: RolloutSettings
) -> tuple[Standing, str]:
    since = rollout.admitted_at if rollout.candidate == edition else None
    # Outside a rollout no report is too early to count.
    judged = judge(report, edition.publication, since or datetime.min.replace(tzinfo=now.tzinfo), now, settings)
    if report is None or judged.why == "does not report":
        return "silent", "never reported" if report is None else "does not report"
    if judged.verdict == "well":
        return "ok", ""
    if judged.verdict == "failed" or report.state == "degraded":
        return "failed", judged.why or report.reason
    if report.publication is not None and report.publication > edition.publication:
        return "ahead", judged.why
    return "updating", judged.why


def headline(status: FleetStatus) -> str:
    """The rollout in one line."""
    rollout = status.rollout
    counts = ", ".join(f"{count} {name}" for name, count in status.counts().items())
    base = f"publication {rollout.baseline.publication} (release {rollout.baseline.release})"
    if rollout.candidate is None:
        why = f": {rollout.reason}" if rollout.reason else ""
        return f"{rollout.phase}{why}; all run {base}; {counts}"
    return (
        f"{rollout.phase}: publication {rollout.candidate.publication} (release {rollout.candidate.release}) to "
        f"{rollout.admitted} of {len(status.waves)} waves, the others run {base}; {counts}"
        + (f"; {rollout.reason}" if rollout.reason else "")
        + (f"; {status.next_step}" if status.next_step else "")
    )


def as_table(status: FleetStatus, rows: int = 40) -> RenderableType:
    """For a terminal; the first `rows` gateways."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("gateway", "cell", "wave", "wanted", "serves", "state", "standing", "report", "version", "reason"):
        table.add_column(column, overflow="ellipsis", no_wrap=column != "reason")
    for row in status.gateways[:rows]:
        outdated = row.version_wanted is not None and row.version not in ("", row.version_wanted)
        table.add_row(
            row.gateway,
            row.cell or "",
            "" if row.wave is None else str(row.wave),
            _edition(row.wanted),
            _edition(row.serves),
            row.state,
            Text(row.standing, _STYLES[row.standing]),
            "" if row.age_s is None else f"{row.age_s:.0f} s",
            Text(row.version + (f" (not {row.version_wanted})" if outdated else ""), "yellow" if outdated else ""),
            row.reason,
        )
    more = len(status.gateways) - rows
    parts: list[RenderableType] = [Text(headline(status)), table]
    return Group(*parts, *([Text(f"and {more} more; --json has all")] if more > 0 else []))


def as_lines(status: FleetStatus) -> list[str]:
    """Without a terminal: tab-separated, a line a gateway."""
    lines = [headline(status)]
    for row in status.gateways:
        fields = (
            row.gateway,
            row.cell or "-",
            "-" if row.wave is None else f"wave {row.wave}",
            f"wants {_edition(row.wanted)}",
            f"serves {_edition(row.serves) or 'nothing'}",
            row.state or "-",
            row.standing,
            row.reason,
        )
        lines.append("\t".join(fields).rstrip())
    return lines


def _edition(edition: Edition | None) -> str:
    return "" if edition is None else f"{edition.publication} (r{edition.release})"
