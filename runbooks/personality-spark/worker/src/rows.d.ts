// Row types of the D1 database, made by Towpath from the schema it applied.  Do not edit.

/** A row of users. */
export interface UsersRow {
  id: string;
  email: string | null;
  username: string | null;
  handle: string | null;
  locale: string;
  plan: string;
  password_hash: string;
  avatar: ArrayBuffer | null;
  born: string | null;
  created_at: number;
  last_login: number | null;
}

/** A row of quiz_results. */
export interface QuizResultsRow {
  id: string;
  user_id: string | null;
  quiz_type: string;
  results: string;
  tags: string;
  took: string | null;
  created_at: number | null;
  shared: number;
}

/** A row of saved_quizzes. */
export interface SavedQuizzesRow {
  id: string;
  user_id: string | null;
  slug: string;
  quiz_data: string;
  archived: number;
  created_at: number | null;
}

/** A row of quiz_analytics. */
export interface QuizAnalyticsRow {
  id: number;
  quiz_type: string | null;
  completion_rate: number | null;
  avg_time_seconds: number | null;
  share_rate: number | null;
  created_date: string | null;
}

/** A row of share_cards. */
export interface ShareCardsRow {
  id: string;
  quiz_result_id: string;
  object_key: string;
  url: string;
  created_at: string;
}

/** A row of purchases. */
export interface PurchasesRow {
  id: number;
  user_id: string | null;
  product: string;
  amount_cents: number;
  fee_cents: number;
  net_cents: number | null;
  currency: string;
  purchased_at: string;
  valid_until: string | null;
}

/** A row of quiz_events. */
export interface QuizEventsRow {
  id: number;
  occurred_at: string;
  user_id: string | null;
  quiz_type: string | null;
  kind: string;
  payload: string | null;
}

/** A row of user_badges. */
export interface UserBadgesRow {
  user_id: string;
  badge: string;
  level: number;
  awarded_at: string;
}

/** A row of import_log. */
export interface ImportLogRow {
  batch: string;
  line: number;
  message: string | null;
  logged_at: string;
}

/** A row of daily_counts. */
export interface DailyCountsRow {
  day: string;
  quiz_type: string;
  results: number;
}

/** A row of received_jobs. */
export interface ReceivedJobsRow {
  id: string;
  queue: string;
  task: string;
  body: string;
  received_at: number;
}

/** A row of received_jobs_dead. */
export interface ReceivedJobsDeadRow {
  id: string;
  queue: string;
  task: string;
  body: string;
  reason: string;
  attempts: number;
  received_at: number;
}

/** A row of job_states. */
export interface JobStatesRow {
  id: string;
  eta: string | null;
  expires: string | null;
  begun_at: number | null;
  ran_at: number | null;
  returned_at: number | null;
}

/** Every table by its name in the database. */
export interface Tables {
  users: UsersRow;
  quiz_results: QuizResultsRow;
  saved_quizzes: SavedQuizzesRow;
  quiz_analytics: QuizAnalyticsRow;
  share_cards: ShareCardsRow;
  purchases: PurchasesRow;
  quiz_events: QuizEventsRow;
  user_badges: UserBadgesRow;
  import_log: ImportLogRow;
  daily_counts: DailyCountsRow;
  received_jobs: ReceivedJobsRow;
  received_jobs_dead: ReceivedJobsDeadRow;
  job_states: JobStatesRow;
}
