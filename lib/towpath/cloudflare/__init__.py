"""Cloudflare's API and storage, as thin as they can be: one HTTP client, D1, KV, R2, limits and prices as data.

The local mirror and api.cloudflare.com differ by the base address, the account and the token alone.
"""

from towpath.cloudflare.client import Client, Statistics
from towpath.cloudflare.d1 import D1, Rows, Statement
from towpath.cloudflare.errors import CloudflareError, D1Error
from towpath.cloudflare.kv import KV

__all__ = ["D1", "KV", "Client", "CloudflareError", "D1Error", "Rows", "Statement", "Statistics"]
