"""Rows about a user, the folders and notes, the clients and projects."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from random import Random

from runbooks.joan.legacy import security
from runbooks.joan.legacy.generator.batches import Batch
from runbooks.joan.legacy.generator.cast import BEGIN, Cast, Row, aware, money, new_id
from runbooks.joan.legacy.models import ProjectRole, UserRole

PASSWORD = "correct horse battery staple"  # every generated user's; the accounts exist in rehearsals only
COLORS = ("#ff0000", "#00ff7f", "#1e90ff", "#8a2be2", None)
FOLDERS = ("Inbox", "Архив", "Projekte", "日本語", "Réunions", "مسودات", "Notes & Ideas", "50% done", "O'Brien", "a/b")


def sealing_key(seed: int) -> bytes:
    """The AES key under which generated provider keys are sealed."""
    return hashlib.sha256(f"joan:{seed}:sealing key".encode()).digest()


def password_hashes(seed: int) -> list[str]:
    """Sixteen bcrypt hashes of PASSWORD, cheap and reproducible."""
    rng = Random(f"{seed}:salts")
    return [security.password_hash(PASSWORD, rng.randbytes(16), rounds=4) for _ in range(16)]


def add_account(batch: Batch, cast: Cast, hashes: list[str]) -> None:
    """The user, the settings, the timer."""
    rng, index = cast.rng, cast.index
    name = rng.choice(cast.texts.names)
    handle = "Joan" if index == 0 else f"{'User' if index % 3 else 'user'}{index:05d}"
    progress = rng.choice(({"step": 3, "done": ["welcome", "first-task"]}, {}, None))
    batch.add(
        "users",
        [
            {
                "id": cast.user,
                "email": f"{handle}@{'Example' if index % 5 == 0 else 'example'}.org",
                "username": handle,
                "hashed_password": hashes[index % len(hashes)],
                "name": None if rng.random() < 0.1 else name,
                "is_active": index == 0 or rng.random() < 0.95,
                "is_superuser": index == 0,
                "role": UserRole.ADMIN if index == 0 else rng.choice((UserRole.MEMBER, UserRole.MANAGER)),
                "onboarding_completed": rng.random() < 0.8,
                "onboarding_progress": progress,
                "first_login_at": None if rng.random() < 0.1 else aware(rng),
                **cast.times(),
            }
        ],
    )
    batch.add("user_settings", [_settings(cast)])
    batch.add(
        "pomodoro_settings",
        [
            {
                "user_id": cast.user,
                "work_minutes": rng.choice((25, 50)),
                "break_minutes": 5,
                "long_break_minutes": 15,
                "sessions_until_long_break": 4,
                "auto_start": rng.random() < 0.5,
                "sound": rng.choice((None, "", "bell", "🔔")),
            }
        ],
    )


def _settings(cast: Cast) -> Row:
    rng, key = cast.rng, sealing_key(cast.seed)

    def sealed(prefix: str) -> bytes | None:
        if rng.random() < 0.5:
            return None
        return security.seal(key, f"{prefix}-{rng.getrandbits(160):040x}", rng.randbytes(security.NONCE_BYTES))

    return {
        "id": new_id(rng),
        "user_id": cast.user,
        "theme": rng.choice(("system", "dark", "light")),
        "notifications_enabled": rng.random() < 0.7,
        "default_work_duration": 25,
        "default_break_duration": 5,
        "day_starts_at": rng.choice((None, dt.time(8, 30), dt.time(0, 0), dt.time(23, 59, 59, 999999))),
        "openai_api_key_encrypted": sealed("sk"),
        "anthropic_api_key_encrypted": b"" if rng.random() < 0.1 else sealed("sk-ant"),
        "local_llm_enabled": rng.random() < 0.2,
        "local_llm_url": rng.choice((None, "http://localhost:11434")),
        "local_llm_model": rng.choice((None, "", "llama3:8b")),
        "storage_quota_bytes": rng.choice((5 * 2**30, 2**40)),
        **cast.times(),
    }


def add_folders(batch: Batch, cast: Cast) -> None:
    """A tree of folders; the ids stand in `cast.folders`."""
    rng = cast.rng
    rows = []
    for number in range(cast.scale.share(0.15)):
        id = new_id(rng)
        rows.append(
            {
                "id": id,
                "user_id": cast.user,
                "parent_id": rng.choice(cast.folders) if cast.folders and rng.random() < 0.7 else None,
                "name": f"{rng.choice(FOLDERS)} {number}",
                "color": rng.choice(COLORS),
                "position": number,
                "note_count": 0,
                **cast.times(),
            }
        )
        cast.folders.append(id)
    batch.add("folders", rows)


def note_row(cast: Cast, title: str, content: str, folder: uuid.UUID | None) -> Row:
    """One note."""
    rng = cast.rng
    id = new_id(rng)
    cast.notes.append(id)
    return {
        "id": id,
        "user_id": cast.user,
        "folder_id": folder,
        "title": title,
        "content": content,
        "tags": rng.choice((None, [], ["work"], ["héllo", "日本", 'quote"d'])),
        "is_pinned": rng.random() < 0.1,
        "deleted_at": cast.times()["updated_at"] if rng.random() < 0.05 else None,
        **cast.times(),
    }


def add_notes(batch: Batch, cast: Cast) -> None:
    """Notes in folders; triggers count them there."""
    rng, texts = cast.rng, cast.texts
    batch.add(
        "notes",
        [
            note_row(
                cast,
                texts.title(rng),
                "" if rng.random() < 0.03 else texts.markdown(rng, min(30, 1 + int(rng.expovariate(0.25)))),
                None if rng.random() < 0.2 else rng.choice(cast.folders),
            )
            for _ in range(cast.scale.share(0.2))
        ],
    )


def add_projects(batch: Batch, cast: Cast) -> None:
    """Clients, projects, memberships: a project names its lead's membership, a membership its project."""
    rng, texts = cast.rng, cast.texts
    clients = [str(new_id(rng)) for _ in range(cast.scale.share(0.05))]
    for id in clients:
        address = {
            "city": rng.choice(("Zürich", "São Paulo", "東京")),
            "zip": f"{rng.randrange(10**5):05d}",
            "geo": None,
        }
        batch.add(
            "clients",
            [
                {
                    "id": id,
                    "user_id": cast.user,
                    "name": rng.choice(texts.names),
                    "company": rng.choice((None, rng.choice(texts.companies))),
                    "email": rng.choice((None, "", "billing@example.com")),
                    "phone": rng.choice((None, "+49 30 123456", "0044")),
                    "address": rng.choice((None, address)),
                    "currency": rng.choice(("EUR", "USD", "JPY")),
                    "hourly_rate": rng.choice((None, money(rng, 300))),
                    **cast.times(),
                }
            ],
        )
    for _ in range(cast.scale.share(0.1)):
        project, lead, member = (str(new_id(rng)) for _ in range(3))
        cast.projects.append(project)
        starts = BEGIN.date() + dt.timedelta(days=rng.randrange(700))
        batch.add(
            "projects",
            [
                {
                    "id": project,
                    "client_id": None if rng.random() < 0.2 else rng.choice(clients),
                    "owner_id": cast.user,
                    "lead_membership_id": None if rng.random() < 0.3 else lead,
                    "name": texts.title(rng),
                    "description": texts.maybe(rng),
                    "status": rng.choice(("active", "paused", "archived")),
                    "budget": rng.choice((None, money(rng, 90_000_000))),
                    "starts_on": starts,
                    "ends_on": rng.choice((None, starts + dt.timedelta(days=rng.randrange(1, 400)))),
                    **cast.times(),
                }
            ],
        )
        for id, user, role in ((lead, cast.user, ProjectRole.LEAD), (member, cast.neighbour, ProjectRole.MEMBER)):
            batch.add(
                "project_memberships",
                [
                    {
                        "id": id,
                        "project_id": project,
                        "user_id": user,
                        "role": role,
                        "hourly_rate": rng.choice((None, money(rng, 250))),
                        "created_at": cast.times()["created_at"],
                    }
                ],
            )
