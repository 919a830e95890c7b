"""PostgreSQL as a source: what it declares, a copy of its rows in SQLite, and its schema in D1's words."""
