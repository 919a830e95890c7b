/** What wrangler.jsonc binds to this Worker, and the one secret. */
export interface Environment {
  DB: D1Database;
  ATTACHMENTS: R2Bucket;
  JWT_SECRET?: string; // what the old side calls JOAN_JWT_SECRET: each takes the other's tokens
}
