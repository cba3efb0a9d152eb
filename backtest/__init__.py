"""The language of hypotheses and what they mean; it is arithmetic. Nothing here reads a file, a clock or a network."""

from backtest.durations import Duration
from backtest.engine import Backtest, run_backtest
from backtest.events import EventLog, Window
from backtest.fires import Fires, first_matches
from backtest.language import Hypothesis
from backtest.plan import ReadPlan, plan_reads
from backtest.report import published
from backtest.score import Score, score

__all__ = [
    "Backtest",
    "Duration",
    "EventLog",
    "Fires",
    "Hypothesis",
    "ReadPlan",
    "Score",
    "Window",
    "first_matches",
    "plan_reads",
    "published",
    "run_backtest",
    "score",
]
