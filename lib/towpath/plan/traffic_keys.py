"""How traffic moves, as params name it: addresses of both sides, the gateway, the ramp, load, names."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from towpath.plan.addresses import matching, plain_address
from towpath.plan.ends import HEX32, SHORT, Ends, reference

REFERENCES = ("dns_token", "status_webhook")
_ADDRESS = 'an https:// address, or http:// on 127.0.0.1 or localhost; ""'


class TrafficKeys(Ends):
    """Without `gateway_url` no traffic moves, and the phases say so."""

    source_url: str = Field(default="", description=f"{_ADDRESS} when nobody has to ask the old application")
    gateway_url: str = Field(default="", description=f"{_ADDRESS} when 06-cutover moves no traffic")
    gateway_namespace_id: str = Field(
        default="", description='32 hex digits; any short name on this machine; "" without a gateway'
    )
    gateway_database_id: str = Field(
        default="", description='the UUID that D1 gave; any short name on this machine; "" without a gateway'
    )
    ramp: str = Field(default="10 50 100", description="whole numbers that rise to 100, e.g. 10 50 100")
    ramp_bake_seconds: int = Field(default=600, ge=0, description="a whole number")
    ramp_requests: int = Field(default=1000, ge=1, description="a whole number from 1 on")
    ramp_errors_percent: float = Field(default=1.0, ge=0, le=100, description="0 to 100")
    ramp_p95_ms: int = Field(default=500, ge=1, description="a whole number from 1 on")
    load_users: int = Field(default=0, ge=0, le=10_000, description="a whole number; 0: no load step")
    load_seconds: int = Field(default=30, ge=1, description="a whole number from 1 on")
    load_p95_ms: int = Field(default=500, ge=1, description="a whole number from 1 on")
    load_errors_percent: float = Field(default=1.0, ge=0, le=100, description="0 to 100")
    target_p95_ms: int = Field(default=200, ge=1, description="a whole number from 1 on")
    target_errors_percent: float = Field(default=0.1, ge=0, le=100, description="0 to 100")
    dns_api: str = Field(default="", description=f"{_ADDRESS} when no name is moved")
    dns_zone_id: str = Field(default="", description='32 hex digits; "" when no name is moved')
    dns_token: str = Field(default="", description='env:NAME or file:PATH; "" when no name is moved')
    status_webhook: str = Field(default="", description='env:NAME or file:PATH of an address; "" when nobody is told')

    @field_validator("source_url", "gateway_url", "dns_api")
    @classmethod
    def _url(cls, value: str) -> str:
        return value and plain_address(value)

    @field_validator("gateway_namespace_id", "gateway_database_id")
    @classmethod
    def _id(cls, value: str) -> str:
        return value and matching(SHORT, value)

    @field_validator("dns_zone_id")
    @classmethod
    def _zone(cls, value: str) -> str:
        return value and matching(HEX32, value)

    @field_validator(*REFERENCES)
    @classmethod
    def _by_reference(cls, value: str) -> str:
        return reference(value)

    @field_validator("ramp")
    @classmethod
    def _rising(cls, value: str) -> str:
        steps = [int(word) for word in matching(re.compile(r"\d{1,3}( \d{1,3})*"), value).split()]
        if steps[-1] != 100 or steps != sorted(set(steps)) or steps[0] < 1:
            raise ValueError("it must be numbers that rise to 100")
        return value

    @property
    def ramp_steps(self) -> tuple[int, ...]:
        """Per cent of the sessions, step by step."""
        return tuple(int(word) for word in self.ramp.split())

    @property
    def moves_traffic(self) -> bool:
        """True when a gateway stands before both sides."""
        return bool(self.gateway_url)
