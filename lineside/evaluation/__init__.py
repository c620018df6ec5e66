"""Evaluation: question sets with gold sections and facts, what the application answers, how far it meets its bars."""

from lineside.evaluation.answers import Images, Outcome, evaluate
from lineside.evaluation.questions import GoldSection, Half, Kind, Question, read_questions
from lineside.evaluation.report import BARS, Report, make_report, render_report

__all__ = [
    "BARS",
    "GoldSection",
    "Half",
    "Images",
    "Kind",
    "Outcome",
    "Question",
    "Report",
    "evaluate",
    "make_report",
    "read_questions",
    "render_report",
]
