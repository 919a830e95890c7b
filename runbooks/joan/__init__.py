"""Joan: FastAPI, SQLite and local attachments move to Workers, D1 and R2."""
