"""All tables of Joan.  Importing this package registers every model, view and trigger on `Base.metadata`."""

from runbooks.joan.legacy.models.base import Base
from runbooks.joan.legacy.models.ceremonies import CeremonyComponent, CeremonySession, CeremonyTemplate
from runbooks.joan.legacy.models.clients import Client, Project, ProjectMembership, ProjectRole
from runbooks.joan.legacy.models.derived import TRIGGERS, VIEWS
from runbooks.joan.legacy.models.people import User, UserRole, UserSettings
from runbooks.joan.legacy.models.rhythm import (
    DailySchedule,
    DailyScheduleTask,
    PersonalActivity,
    PomodoroSession,
    PomodoroSettings,
)
from runbooks.joan.legacy.models.tasks import (
    Goal,
    KanbanBoard,
    Task,
    TaskActivity,
    TaskGoalLink,
    TaskResource,
    TaskStatus,
)
from runbooks.joan.legacy.models.workflows import (
    AIWorkflowConfig,
    AIWorkflowExecution,
    AIWorkflowMetrics,
    AIWorkflowStep,
    AIWorkflowTemplate,
    PromptLibrary,
)
from runbooks.joan.legacy.models.writing import Attachment, Folder, Note

__all__ = [
    "TRIGGERS",
    "VIEWS",
    "AIWorkflowConfig",
    "AIWorkflowExecution",
    "AIWorkflowMetrics",
    "AIWorkflowStep",
    "AIWorkflowTemplate",
    "Attachment",
    "Base",
    "CeremonyComponent",
    "CeremonySession",
    "CeremonyTemplate",
    "Client",
    "DailySchedule",
    "DailyScheduleTask",
    "Folder",
    "Goal",
    "KanbanBoard",
    "Note",
    "PersonalActivity",
    "PomodoroSession",
    "PomodoroSettings",
    "Project",
    "ProjectMembership",
    "ProjectRole",
    "PromptLibrary",
    "Task",
    "TaskActivity",
    "TaskGoalLink",
    "TaskResource",
    "TaskStatus",
    "User",
    "UserRole",
    "UserSettings",
]
