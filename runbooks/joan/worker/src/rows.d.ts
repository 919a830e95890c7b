// Row types of the D1 database, made by Towpath from the schema it applied.  Do not edit.

/** A row of users. */
export interface UsersRow {
  id: string;
  email: string;
  username: string;
  hashed_password: string;
  name: string | null;
  /** boolean */
  is_active: 0 | 1;
  /** boolean */
  is_superuser: 0 | 1;
  role: string;
  /** boolean */
  onboarding_completed: 0 | 1;
  /** JSON text: JSON.parse */
  onboarding_progress: string | null;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  first_login_at: string | null;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  created_at: string;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  updated_at: string;
}

/** A row of ai_workflow_templates. */
export interface AiWorkflowTemplatesRow {
  id: string;
  name: string;
  version: number;
  /** JSON text: JSON.parse */
  definition: string;
  /** boolean */
  is_enabled: 0 | 1;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  created_at: string;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  updated_at: string;
}

/** A row of ceremony_templates. */
export interface CeremonyTemplatesRow {
  id: string;
  user_id: string | null;
  name: string;
  description: string | null;
  /** JSON text: JSON.parse */
  schedule: string | null;
  /** boolean */
  is_active: 0 | 1;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  created_at: string;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  updated_at: string;
}

/** A row of clients. */
export interface ClientsRow {
  id: string;
  user_id: string;
  name: string;
  company: string | null;
  email: string | null;
  phone: string | null;
  /** JSON text: JSON.parse */
  address: string | null;
  currency: string;
  hourly_rate: number | null;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  created_at: string;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  updated_at: string;
}

/** A row of user_settings. */
export interface UserSettingsRow {
  id: string;
  user_id: string;
  theme: string;
  /** boolean */
  notifications_enabled: 0 | 1;
  default_work_duration: number;
  default_break_duration: number;
  day_starts_at: string | null;
  openai_api_key_encrypted: ArrayBuffer | null;
  anthropic_api_key_encrypted: ArrayBuffer | null;
  /** boolean */
  local_llm_enabled: 0 | 1;
  local_llm_url: string | null;
  local_llm_model: string | null;
  storage_quota_bytes: number;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  created_at: string;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  updated_at: string;
}

/** A row of pomodoro_settings. */
export interface PomodoroSettingsRow {
  user_id: string;
  work_minutes: number;
  break_minutes: number;
  long_break_minutes: number;
  sessions_until_long_break: number;
  /** boolean */
  auto_start: 0 | 1;
  sound: string | null;
}

/** A row of daily_schedules. */
export interface DailySchedulesRow {
  id: string;
  user_id: string;
  /** date or time: YYYY-MM-DD */
  day: string;
  starts_at: string | null;
  ends_at: string | null;
  intention: string | null;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  created_at: string;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  updated_at: string;
}

/** A row of personal_activities. */
export interface PersonalActivitiesRow {
  id: string;
  user_id: string;
  kind: string;
  title: string;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  happened_at: string;
  minutes: number | null;
  latitude: number | null;
  longitude: number | null;
  /** JSON text: JSON.parse */
  data: string | null;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff, YYYY-MM-DD HH:MM:SS */
  created_at: string;
}

/** A row of kanban_boards. */
export interface KanbanBoardsRow {
  id: string;
  user_id: string;
  name: string;
  /** JSON text: JSON.parse */
  columns: string;
  /** boolean */
  is_default: 0 | 1;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  created_at: string;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  updated_at: string;
}

/** A row of goals. */
export interface GoalsRow {
  id: string;
  user_id: string;
  title: string;
  description: string | null;
  target_value: number | null;
  current_value: number;
  /** date or time: YYYY-MM-DD */
  target_date: string | null;
  order: number;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  created_at: string;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  updated_at: string;
}

/** A row of ai_workflow_configs. */
export interface AiWorkflowConfigsRow {
  user_id: string;
  key: string;
  value: number | string;
}

/** A row of prompt_library. */
export interface PromptLibraryRow {
  id: string;
  user_id: string | null;
  title: string;
  body: string;
  category: string | null;
  /** JSON text: JSON.parse */
  tags: string | null;
  /** boolean */
  is_public: 0 | 1;
  usage_count: number;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  created_at: string;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  updated_at: string;
}

/** A row of folders. */
export interface FoldersRow {
  id: string;
  user_id: string;
  parent_id: string | null;
  name: string;
  color: string | null;
  position: number;
  note_count: number;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  created_at: string;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  updated_at: string;
}

/** A row of ceremony_components. */
export interface CeremonyComponentsRow {
  id: number;
  template_id: string;
  position: number;
  kind: string;
  prompt: string;
  /** JSON text: JSON.parse */
  options: string | null;
}

/** A row of ceremony_sessions. */
export interface CeremonySessionsRow {
  id: string;
  template_id: string;
  user_id: string;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  started_at: string;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  finished_at: string | null;
  /** JSON text: JSON.parse */
  answers: string;
  summary: string | null;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  created_at: string;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  updated_at: string;
}

/** A row of projects. */
export interface ProjectsRow {
  id: string;
  client_id: string | null;
  owner_id: string;
  lead_membership_id: string | null;
  name: string;
  description: string | null;
  status: string;
  budget: number | null;
  budget_cents: number | null;
  /** date or time: YYYY-MM-DD */
  starts_on: string | null;
  /** date or time: YYYY-MM-DD */
  ends_on: string | null;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  created_at: string;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  updated_at: string;
}

/** A row of notes. */
export interface NotesRow {
  id: string;
  user_id: string;
  folder_id: string | null;
  title: string;
  content: string;
  /** JSON text: JSON.parse */
  tags: string | null;
  /** boolean */
  is_pinned: 0 | 1;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  deleted_at: string | null;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  created_at: string;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  updated_at: string;
}

/** A row of project_memberships. */
export interface ProjectMembershipsRow {
  id: string;
  project_id: string;
  user_id: string;
  role: string;
  hourly_rate: number | null;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  created_at: string;
}

/** A row of tasks. */
export interface TasksRow {
  id: string;
  user_id: string;
  title: string;
  description: string | null;
  status: string;
  priority: number;
  /** date or time: YYYY-MM-DD */
  due_date: string | null;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  completed_at: string | null;
  folder_id: string | null;
  project_id: string | null;
  parent_task_id: string | null;
  /** holds infinite numbers, which D1 answers as null */
  board_position: number | null;
  estimated_minutes: number | null;
  actual_minutes: number | null;
  progress_percent: number | null;
  hourly_rate: number | null;
  /** JSON text: JSON.parse */
  recurrence: string | null;
  external_ref: string | null;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  created_at: string;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  updated_at: string;
}

/** A row of pomodoro_sessions. */
export interface PomodoroSessionsRow {
  id: number;
  user_id: string;
  task_id: string | null;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  started_at: string;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  ended_at: string | null;
  planned_minutes: number;
  /** boolean */
  completed: 0 | 1;
  focus_score: number | null;
}

/** A row of daily_schedule_tasks. */
export interface DailyScheduleTasksRow {
  id: string;
  schedule_id: string;
  task_id: string;
  position: number;
  starts_at: string | null;
  minutes: number | null;
  /** boolean */
  done: 0 | 1;
}

/** A row of task_activities. */
export interface TaskActivitiesRow {
  id: number;
  task_id: string;
  user_id: string;
  kind: string;
  old_value: string | null;
  new_value: string | null;
  /** JSON text: JSON.parse */
  detail: string | null;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  created_at: string;
}

/** A row of task_goal_links. */
export interface TaskGoalLinksRow {
  task_id: string;
  goal_id: string;
  weight: number;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  created_at: string;
}

/** A row of task_resources. */
export interface TaskResourcesRow {
  id: string;
  task_id: string;
  kind: string;
  title: string;
  url: string | null;
  content: string | null;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  created_at: string;
}

/** A row of ai_workflow_executions. */
export interface AiWorkflowExecutionsRow {
  id: string;
  template_id: string;
  user_id: string;
  task_id: string | null;
  /** integers beyond ±2^53: select CAST(provider_trace_id AS TEXT) */
  provider_trace_id: string | null;
  status: string;
  /** JSON text: JSON.parse */
  input: string;
  /** JSON text: JSON.parse */
  output: string | null;
  cost_usd: number | null;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  started_at: string;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  finished_at: string | null;
}

/** A row of attachments. */
export interface AttachmentsRow {
  id: string;
  user_id: string;
  task_id: string | null;
  note_id: string | null;
  filename: string;
  mime_type: string | null;
  storage_key: string;
  size: number;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  created_at: string;
}

/** A row of ai_workflow_steps. */
export interface AiWorkflowStepsRow {
  id: string;
  execution_id: string;
  position: number;
  model: string;
  prompt: string;
  response: string | null;
  tokens: number;
  seconds: number | null;
}

/** A row of ai_workflow_metrics. */
export interface AiWorkflowMetricsRow {
  execution_id: string | null;
  name: string;
  value: number | null;
  /** JSON text: JSON.parse */
  labels: string | null;
  /** date or time: YYYY-MM-DD HH:MM:SS.ffffff */
  recorded_at: string;
}

/** Every table by its name in the database. */
export interface Tables {
  users: UsersRow;
  ai_workflow_templates: AiWorkflowTemplatesRow;
  ceremony_templates: CeremonyTemplatesRow;
  clients: ClientsRow;
  user_settings: UserSettingsRow;
  pomodoro_settings: PomodoroSettingsRow;
  daily_schedules: DailySchedulesRow;
  personal_activities: PersonalActivitiesRow;
  kanban_boards: KanbanBoardsRow;
  goals: GoalsRow;
  ai_workflow_configs: AiWorkflowConfigsRow;
  prompt_library: PromptLibraryRow;
  folders: FoldersRow;
  ceremony_components: CeremonyComponentsRow;
  ceremony_sessions: CeremonySessionsRow;
  projects: ProjectsRow;
  notes: NotesRow;
  project_memberships: ProjectMembershipsRow;
  tasks: TasksRow;
  pomodoro_sessions: PomodoroSessionsRow;
  daily_schedule_tasks: DailyScheduleTasksRow;
  task_activities: TaskActivitiesRow;
  task_goal_links: TaskGoalLinksRow;
  task_resources: TaskResourcesRow;
  ai_workflow_executions: AiWorkflowExecutionsRow;
  attachments: AttachmentsRow;
  ai_workflow_steps: AiWorkflowStepsRow;
  ai_workflow_metrics: AiWorkflowMetricsRow;
}
