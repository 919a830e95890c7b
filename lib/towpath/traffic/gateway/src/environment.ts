/** What wrangler.jsonc binds to the gateway.  What moves during a cutover stands in KV; what does not stands here. */
export interface Environment {
  /** Where the setting lies, one JSON value under the key `traffic`. */
  TRAFFIC: KVNamespace;
  /** The new application. */
  APP: Fetcher;
  /** The database of the request lines, apart from the application's. */
  REQUESTS: D1Database;
  /** Request lines once more, where the account has it. */
  ANALYTICS?: AnalyticsEngineDataset;
  /** Address of the old application, without a path: https://origin.example.org */
  ORIGIN: string;
  /** How long an isolate uses what it has read: seconds, 5 if not said. */
  CACHE_SECONDS?: number;
  /** How long it goes on with that when KV does not answer: seconds, 60 if not said. */
  KEEP_SECONDS?: number;
  /** How long a side may take until its answer begins: seconds, 60 if not said. */
  ANSWER_SECONDS?: number;
  /** Who reads are for when nothing is known: `origin`, or `worker` once the old side is to be switched off. */
  FALLBACK?: string;
  /** What a session is known by: `cookie:NAME` or `header:NAME`; the gateway's own cookie where it is missing. */
  SESSION?: string;
  /** Patterns of paths, `/results/:id` and `/static/*`: what a request line calls its route. */
  ROUTES?: string[];
  /** Requests with a reading method that write all the same: `GET /generate/:type`. */
  WRITES?: string[];
  /** Requests with a writing method that only read: `POST /auth/login`. */
  READS?: string[];
}
