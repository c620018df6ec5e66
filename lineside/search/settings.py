"""Settings of hybrid search: weights, bounds and thresholds, one default for all knowledge."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LexicalSettings(_Settings):
    """BM25F: a term's frequency is weighted by field before it saturates (Robertson and Zaragoza 2009, section 3.6)."""

    k1: float = Field(1.6, ge=0, le=5, description="saturation: larger lets repeated terms count for more")
    body_b: float = Field(0.55, ge=0, le=1, description="how far a long body is discounted")
    heading_b: float = Field(0.3, ge=0, le=1, description="how far a long heading is discounted")
    heading_weight: float = Field(3.0, ge=0, le=20, description="an occurrence in the heading against one in the body")
    identifier_boost: float = Field(2.0, ge=0, le=20, description="factor on the idf of identifiers in the question")
    context_word_weight: float = Field(0.1, ge=0, le=1, description="a word of the context against one of the question")
    context_identifier_weight: float = Field(0.5, ge=0, le=1)
    context_terms_max: int = Field(32, ge=0, le=500)


class FusionSettings(_Settings):
    """Weights of the signals after normalisation; they are relative: present signals are scaled to sum 1."""

    dense: float = Field(0.5, ge=0, le=10)
    lexical: float = Field(0.5, ge=0, le=10)
    joint: float = Field(0.05, ge=0, le=10, description="question and frame against passages in the joint space")
    identifier: float = Field(3.0, ge=0, le=10, description="times the share of the question's identifiers, added")
    identifier_in_body: float = Field(
        0.35, ge=0, le=1, description="an identifier that a passage mentions, against one in its heading or definition"
    )
    identifier_places: int = Field(
        3, ge=1, description="headings that an identifier may stand in and still point at them: a code, not a machine"
    )
    identifier_over_dense: float = Field(
        0.8,
        ge=0,
        le=1,
        description="how far vectors give way in a question of identifiers only, which they do not tell",
    )


class IncidentSettings(_Settings):
    """Incident reports tell what happened once; manuals, what is right. They count by what is asked for."""

    penalty: float = Field(
        1.0, ge=0, le=10, description="taken from incident reports where the question is not about an event"
    )


class FeedbackSettings(_Settings):
    """Pseudo-relevance feedback: the best passages of a first ranking extend the question."""

    passages: int = Field(5, ge=0, le=50, description="passages that extend it; 0 switches feedback off")
    sentence: float = Field(
        0.5, ge=0, le=1, description="a passage's best sentence against all of it, for its vector's part in the choice"
    )
    sentence_passages: int = Field(16, ge=1, le=1_000, description="passages whose sentences are looked at")
    sharpness: float = Field(3.0, ge=0, le=50, description="a passage weighs exp(sharpness * (score - best score))")
    dense_weight: float = Field(0.6, ge=0, le=5, description="mean of the passages' vectors against the question's")
    term_weight: float = Field(0.35, ge=0, le=5, description="mass of the added terms against the question's")
    terms: int = Field(20, ge=0, le=200, description="terms added")


class ImageSettings(_Settings):
    """How a frame takes part in search."""

    vote_frames: int = Field(16, ge=1, le=100, description="nearest labelled frames that vote")
    vote_floor: float = Field(0.5, ge=-1, le=1, description="cosine below which a frame does not vote")
    vote_temperature: float = Field(0.03, gt=0, le=10, description="a vote weighs exp((cosine - best) / temperature)")
    vote_share_min: float = Field(0.25, ge=0, le=1, description="labels with a smaller share do not enter the search")
    label_dense_weight: float = Field(1.5, ge=0, le=5, description="captions' vectors against the question's")
    label_lexical_weight: float = Field(1.5, ge=0, le=5, description="captions' terms against the question's")
    pointing_weight: float = Field(
        0.2, ge=0, le=1, description="weight of words that point at a recognised image: this picture, the camera shows"
    )
    family_weight: float = Field(
        0.5, ge=0, le=10, description="times the share of a family's labels, added to its passages' scores"
    )
    image_weight: float = Field(1.0, ge=0, le=10, description="frame against images, cosine")
    joint_text_weight: float = Field(0.3, ge=0, le=10, description="question against images in the joint space")
    caption_weight: float = Field(0.5, ge=0, le=10, description="question against captions, dense")
    caption_lexical_weight: float = Field(0.3, ge=0, le=10)
    score_floor: float = Field(0.3, ge=-1, le=1, description="images below this mean score are no evidence")
    duplicate_cosine: float = Field(0.995, ge=0, le=1, description="images with a higher cosine are one")


class CollapseSettings(_Settings):
    """When two passages are the same evidence."""

    cosine: float = Field(0.97, ge=0, le=1)
    term_overlap: float = Field(0.8, ge=0, le=1, description="Jaccard of the term sets")


class SentenceSettings(_Settings):
    """Scores of the sentences of the best passages."""

    passages: int = Field(6, ge=0, le=50, description="passages whose sentences are scored")
    dense: float = Field(0.5, ge=0, le=10)
    coverage: float = Field(0.5, ge=0, le=10, description="share of the question's idf mass in the sentence")
    exact_boost: float = Field(2.0, ge=0, le=20, description="factor on the idf of identifiers and numbers")


class RerankSettings(_Settings):
    """Optional cross-encoder; off without a model."""

    model: str | None = Field(None, description="folder or name of a sequence classification model")
    candidates: int = Field(20, ge=1, le=200)
    weight: float = Field(0.7, ge=0, le=1, description="share of the cross-encoder in the final score")
    max_tokens: int = Field(256, ge=16, le=8_192)


class SearchSettings(_Settings):
    """Settings of `ReleaseIndex`."""

    candidates: int = Field(100, ge=10, le=2_000, description="best rows taken from every signal")
    effort: int | None = Field(
        None, ge=1, description="nprobe or ef of all indexes; each shard's own default when None"
    )
    verify: bool = Field(True, description="hash every file of a shard when it is opened")
    lexical: LexicalSettings = LexicalSettings()
    fusion: FusionSettings = FusionSettings()
    incidents: IncidentSettings = IncidentSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    images: ImageSettings = ImageSettings()
    collapse: CollapseSettings = CollapseSettings()
    sentences: SentenceSettings = SentenceSettings()
    rerank: RerankSettings = RerankSettings()
