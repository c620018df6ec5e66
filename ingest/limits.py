"""How much a single source may cost: bounds that every parser keeps."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

MIB = 1024 * 1024


class ParseLimits(BaseModel):
    """Bounds of one source file. Exceeding one is a `ParseError`, never a crash or a silent cut."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_source_bytes: int = Field(128 * MIB, ge=1, le=2048 * MIB)
    max_pages: int = Field(5_000, ge=1, le=50_000)
    max_text_chars: int = Field(20_000_000, ge=1, le=200_000_000, description="canonical text of one document")
    max_unpacked_bytes: int = Field(512 * MIB, ge=1, le=4096 * MIB, description="a DOCX after decompression")
    max_compression_ratio: int = Field(200, ge=2, le=10_000, description="unpacked to packed size of a DOCX")
    max_image_bytes: int = Field(32 * MIB, ge=1, le=256 * MIB, description="one figure or frame, encoded")
    max_image_pixels: int = Field(50_000_000, ge=1, le=500_000_000, description="one figure or frame, decoded")
    max_figures: int = Field(2_000, ge=0, le=20_000, description="figures of one document")
    max_figure_side_px: int = Field(1_600, ge=64, le=8_000, description="figures that are re-encoded shrink to this")
    max_reports: int = Field(100_000, ge=1, le=5_000_000, description="incident reports in one file")
    max_known_questions: int = Field(100_000, ge=1, le=5_000_000, description="known questions in one file")
    max_known_question_chars: int = Field(1_000, ge=1, le=100_000)
    max_front_matter_chars: int = Field(100_000, ge=1, le=5_000_000)


DEFAULT_LIMITS = ParseLimits()
