"""Passwords (bcrypt), tokens (JWT, HS256), and the sealing of provider keys (AES-256-GCM)."""

from __future__ import annotations

import base64
import datetime as dt
import os
import uuid
from typing import Annotated

import bcrypt
import jwt
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from runbooks.joan.legacy.database import SessionOf
from runbooks.joan.legacy.models import User
from runbooks.joan.legacy.settings import Settings

ALGORITHM = "HS256"
NONCE_BYTES = 12
_BCRYPT_BASE64 = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
)
_bearer = HTTPBearer(auto_error=False)


def _for_bcrypt(password: str) -> bytes:
    return password.encode()[:72]  # bcrypt reads no further, and the library refuses more


def password_hash(password: str, salt: bytes | None = None, rounds: int = 10) -> str:
    """The bcrypt hash (`$2b$`) of a password; `salt` of 16 bytes makes it reproducible for generated data."""
    if salt is None:
        setting = bcrypt.gensalt(rounds)
    else:
        setting = b"$2b$%02d$" % rounds + base64.b64encode(salt).rstrip(b"=").translate(_BCRYPT_BASE64)
    return bcrypt.hashpw(_for_bcrypt(password), setting).decode()


def password_matches(password: str, hashed: str) -> bool:
    """Whether this is the password; a hash that is none matches nothing."""
    try:
        return bcrypt.checkpw(_for_bcrypt(password), hashed.encode())
    except ValueError:
        return False


def seal(key: bytes, text: str, nonce: bytes | None = None) -> bytes:
    """Encrypt a provider key: 12 bytes of nonce, then the AES-GCM ciphertext with its tag."""
    nonce = nonce or os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, text.encode(), None)


def unseal(key: bytes, sealed: bytes) -> str:
    """Decrypt what `seal` made.  Raises cryptography.exceptions.InvalidTag when a byte is not as it was."""
    return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None).decode()


def new_token(settings: Settings, user: User) -> str:
    """A signed token for this user."""
    claims = {
        "sub": user.email,
        "user_id": str(user.id),
        "exp": dt.datetime.now(dt.UTC) + dt.timedelta(days=settings.token_days),
    }
    return jwt.encode(claims, settings.jwt_secret, ALGORITHM)


async def _current_user(
    request: Request,
    session: SessionOf,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> User:
    settings: Settings = request.app.state.settings
    refusal = HTTPException(401, "Not authenticated", headers={"WWW-Authenticate": "Bearer"})
    if credentials is None:
        raise refusal
    try:
        claims = jwt.decode(credentials.credentials, settings.jwt_secret, [ALGORITHM], options={"require": ["exp"]})
        user = await session.get(User, uuid.UUID(claims["user_id"]))
    except (jwt.InvalidTokenError, KeyError, ValueError):
        raise refusal from None
    if user is None or not user.is_active:
        raise refusal
    return user


CurrentUser = Annotated[User, Depends(_current_user)]
