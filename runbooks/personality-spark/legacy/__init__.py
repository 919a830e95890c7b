"""Personality Spark as it runs today: FastAPI, SQLAlchemy over PostgreSQL, Redis, Celery, share cards on disk.

A slice of the old application, kept to rehearse the voyage: its models, its routes, its tasks, a seeded generator that
fills all of it (`generate`), an application that goes on working during a migration (`live`), and the server itself
(`serve`, `work`).  `planted.py` lists what is wrong in the generated data, on purpose and exactly counted.

The folder's name has a hyphen, so that everything inside is imported relatively.
"""
