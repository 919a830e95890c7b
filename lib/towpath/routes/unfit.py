"""Which calls and imports of Python a Worker cannot do, as data: the rule's code, and the name or a pattern of it."""

from __future__ import annotations

# The first pattern that fits the full name of a call counts.
CALLS: tuple[tuple[str, str], ...] = (
    ("RT201", "subprocess.*"),
    ("RT201", "os.system"),
    ("RT201", "os.popen"),
    ("RT201", "os.exec*"),
    ("RT201", "os.spawn*"),
    ("RT201", "os.fork*"),
    ("RT201", "os.posix_spawn*"),
    ("RT201", "pty.spawn"),
    ("RT201", "asyncio.create_subprocess_*"),
    ("RT203", "shutil.copy*"),
    ("RT203", "shutil.move"),
    ("RT203", "shutil.rmtree"),
    ("RT203", "os.makedirs"),
    ("RT203", "os.mkdir"),
    ("RT203", "os.remove"),
    ("RT203", "os.unlink"),
    ("RT203", "os.rename"),
    ("RT203", "os.replace"),
    ("RT203", "aiofiles.open"),
    ("RT204", "tempfile.*"),
    ("RT205", "bcrypt.*"),
    ("RT205", "hashlib.pbkdf2_hmac"),
    ("RT205", "hashlib.scrypt"),
    ("RT205", "argon2.*"),
    ("RT205", "passlib.*"),
    ("RT205", "cryptography.hazmat.primitives.kdf.*"),
    ("RT205", "django.contrib.auth.hashers.make_password"),
    ("RT205", "werkzeug.security.generate_password_hash"),
    ("RT205", "werkzeug.security.check_password_hash"),
    ("RT207", "threading.*"),
    ("RT207", "multiprocessing.*"),
    ("RT207", "concurrent.futures.*"),
    ("RT207", "asyncio.to_thread"),
    ("RT207", "_thread.start_new_thread"),
    ("RT207", "starlette.concurrency.run_in_threadpool"),
    ("RT207", "fastapi.concurrency.run_in_threadpool"),
    ("RT207", "asgiref.sync.sync_to_async"),
    ("RT208", "socket.*"),
    ("RT208", "asyncio.open_connection"),
    ("RT208", "asyncio.start_server"),
    ("RT208", "asyncio.start_unix_server"),
    ("RT210", "sched.scheduler"),
    ("RT210", "celery.schedules.crontab"),
    ("RT210", "schedule.every"),
)
# Modules, and whatever lies in them; what is imported is used.
IMPORTS: dict[str, str] = {
    "PIL": "RT206",
    "cv2": "RT206",
    "skimage": "RT206",
    "wand": "RT206",
    "pyvips": "RT206",
    "cairosvg": "RT206",
    "weasyprint": "RT206",
    "numpy": "RT206",
    "scipy": "RT206",
    "pandas": "RT206",
    "sklearn": "RT206",
    "torch": "RT206",
    "tensorflow": "RT206",
    "matplotlib": "RT206",
    "moviepy": "RT206",
    "ffmpeg": "RT206",
    "smtplib": "RT208",
    "imaplib": "RT208",
    "poplib": "RT208",
    "ftplib": "RT208",
    "telnetlib": "RT208",
    "paramiko": "RT208",
    "ldap": "RT208",
    "ldap3": "RT208",
    "zmq": "RT208",
    "apscheduler": "RT210",
    "schedule": "RT210",
    "huey": "RT210",
    "django_celery_beat": "RT210",
}
# Methods whose name says it, on whatever they are called.
METHODS: dict[str, str] = {
    "write_text": "RT203",
    "write_bytes": "RT203",
    "mkdir": "RT203",
    "unlink": "RT203",
    "touch": "RT203",
    "symlink_to": "RT203",
    "run_in_executor": "RT207",
    "add_periodic_task": "RT210",
}
# Clients that call this machine where no host is said.
AT_HOME = frozenset(
    {"redis.Redis", "redis.StrictRedis", "redis.asyncio.Redis", "pymemcache.Client", "pymongo.MongoClient"}
)
MUTATORS = frozenset(
    {"append", "add", "update", "pop", "popitem", "setdefault", "clear", "extend", "insert", "remove", "discard"}
    | {"appendleft", "popleft", "extendleft"}
)
SCHEDULES = frozenset({"beat_schedule", "celerybeat_schedule", "celery_beat_schedule", "cronjobs"})
