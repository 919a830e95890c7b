"""Cloudflare's own runtime on this machine: start it, prove it, find it, stop it.

Called by the command line and by tests; notebooks see only its address in the params file.
"""

from towpath.local.gateway import Gateway, gateway_folder, read_gateway
from towpath.local.runtime import Runtime, start
from towpath.local.selftest import Proof, selftest
from towpath.local.state import State
from towpath.local.supervisor import Status, down, down_all, reset, status, up
from towpath.local.worker import worker_folder

__all__ = [
    "Gateway",
    "Proof",
    "Runtime",
    "State",
    "Status",
    "down",
    "down_all",
    "gateway_folder",
    "read_gateway",
    "reset",
    "selftest",
    "start",
    "status",
    "up",
    "worker_folder",
]
