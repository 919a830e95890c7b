"""Registration, login, and who am I."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from starlette.concurrency import run_in_threadpool

from runbooks.joan.legacy.database import SessionOf
from runbooks.joan.legacy.models import User, UserSettings
from runbooks.joan.legacy.schemas import Login, Registration, Token, UserView
from runbooks.joan.legacy.security import CurrentUser, new_token, password_hash, password_matches

router = APIRouter(prefix="/auth", tags=["auth"])


@router.post("/register", status_code=201)
async def register(body: Registration, session: SessionOf) -> UserView:
    """A new account with its settings."""
    hashed = await run_in_threadpool(password_hash, body.password)
    user = User(email=body.email, username=body.username, name=body.name, hashed_password=hashed)
    try:
        session.add(user)
        await session.flush()
        session.add(UserSettings(user_id=user.id))
        await session.commit()
    except IntegrityError:
        raise HTTPException(400, "Email or username already registered") from None
    return UserView.model_validate(user)


@router.post("/login")
async def login(body: Login, session: SessionOf, request: Request) -> Token:
    """A token for an address and its password.  Only reads: it works during maintenance."""
    user = await session.scalar(select(User).where(func.lower(User.email) == func.lower(body.email)))
    matches = user is not None and await run_in_threadpool(password_matches, body.password, user.hashed_password)
    if user is None or not matches or not user.is_active:
        raise HTTPException(401, "Invalid credentials")
    return Token(access_token=new_token(request.app.state.settings, user))


@router.get("/me")
async def me(user: CurrentUser) -> UserView:
    """The user of the token."""
    return UserView.model_validate(user)
