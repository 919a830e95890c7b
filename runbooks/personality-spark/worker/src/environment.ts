/** What wrangler.jsonc binds to this Worker, and the one secret. */
export interface Environment {
  DB: D1Database;
  CACHE: KVNamespace;
  MEDIA: R2Bucket;
  ANALYTICS_QUEUE: Queue<unknown>;
  DLQ: Queue<unknown>;
  ENQUEUE_TOKEN?: string;
  ENVIRONMENT: string;
  DEAD_LETTER_QUEUE: string; // its name, by which the consumer of both queues knows it
}
