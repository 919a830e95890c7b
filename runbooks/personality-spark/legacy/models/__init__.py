"""The tables, types and views of the database `spark`."""

from .base import PLANS, Base, utcnow
from .events import DailyCount, QuizEvent, import_log
from .people import Purchase, User, UserBadge
from .quizzes import QuizAnalytics, QuizResult, SavedQuiz, ShareCard

__all__ = [
    "PLANS",
    "Base",
    "DailyCount",
    "Purchase",
    "QuizAnalytics",
    "QuizEvent",
    "QuizResult",
    "SavedQuiz",
    "ShareCard",
    "User",
    "UserBadge",
    "import_log",
    "utcnow",
]
