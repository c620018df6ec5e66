"""What a gateway says of itself: what it serves, how it is, and what went wrong lately."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from edge.trust.records import Name
from lineside.errors import DataError

REPORT_BYTES_MAX: Final = 64 << 10
"""A report that is longer is not read."""

Text = Annotated[str, Field(max_length=1_000)]
GatewayState = Literal["starting", "serving", "degraded", "offline"]


class GatewayReport(BaseModel):
    """One gateway at one moment; the latest one counts.

    `publication` and `release` are what it answers from, None for nothing. `incidents`: latest first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    gateway: Name
    at: AwareDatetime = Field(description="UTC, by the gateway's clock")
    publication: int | None = Field(None, ge=1)
    release: int | None = Field(None, ge=1)
    state: GatewayState
    reason: Text = Field("", description="why it is not serving as it should")
    version: Annotated[str, Field(max_length=100)] = Field(description="of the gateway's program")
    families: tuple[Name, ...] = Field((), max_length=10_000)
    incidents: tuple[Text, ...] = Field((), max_length=5)


def parse_report(data: bytes) -> GatewayReport:
    """Raises DataError where the data is no report, or longer than a report may be."""
    if len(data) > REPORT_BYTES_MAX:
        raise DataError(f"a report has {len(data)} bytes; {REPORT_BYTES_MAX} are allowed")
    try:
        return GatewayReport.model_validate_json(data)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        raise DataError(f"malformed report: {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None
