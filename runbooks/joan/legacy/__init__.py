"""Joan as it runs today: FastAPI, async SQLAlchemy over SQLite, files under `attachments/`.

A slice of the old application, kept to rehearse the voyage: its models, its routes, a seeded generator that writes the
database through those models (`generate`), an application that goes on working during a migration (`live`), and the
server itself (`serve`).  `planted.py` lists what is wrong in the generated data, on purpose and exactly counted.
"""
