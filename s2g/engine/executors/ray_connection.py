"""The connection to Ray: on this machine, or to a cluster that is asked first whether it is there."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import Any

from s2g.config.schema import ExecutorConfig
from s2g.errors import UserError
from s2g.io.machine import cores

try:
    import ray
    from ray import cloudpickle
    from ray.exceptions import OutOfMemoryError, RayError
except ImportError as error:
    raise UserError(
        f"executor = ray: Ray cannot be imported ({error})",
        allowed="executor=local",
        todo="pip install '.[ray]' in the checkout, on every node of the cluster",
    ) from error

__all__ = ["OutOfMemoryError", "RayError", "cloudpickle", "connect", "ray"]  # whoever needs Ray takes it from here

ANSWER = 10.0  # seconds that an address has to answer
HEALTH = 30.0  # seconds that a cluster has to say that it is well, with the start of a process
STORE_MEMORY = 80 * 2**20  # bytes, about the least that Ray takes: nothing large passes through its object store
NEXT = "`ray status` on this machine shows its cluster; `ray start --head` starts one; executor.address=null is this machine"


def connect(config: ExecutorConfig) -> bool:
    """Connect to the cluster that is configured, or start Ray on this machine; return whether it was started."""
    address = config.address or os.environ.get("RAY_ADDRESS") or "local"
    if address.startswith("ray://"):
        raise UserError(
            f"executor.address = {address}: the command holds the store's locks, so it has to run on a node",
            allowed="auto, HOST:PORT",
            todo="ray job submit -- python run.py executor=ray …, or log in on a node and use executor.address=auto",
        )
    own = address == "local"
    options: dict[str, Any] = {"runtime_env": dict(config.runtime_env)} if config.runtime_env else {}
    if own:
        wanted = int(-(-(config.workers or 0) * (config.resources or {}).get("CPU", 1) // 1))
        options |= {"num_cpus": max(cores(), wanted), "include_dashboard": False, "object_store_memory": STORE_MEMORY}
    else:
        _knock(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to Ray's makers
    os.environ.setdefault("RAY_worker_niceness", "0")  # 15 by default, so that anything else on the machine comes first
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(f"executor.address = {address}: {' '.join(str(error).split())}", todo=NEXT) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray's own would end the process without a word
    return own


def _knock(address: str) -> None:
    """Raise UserError if no Ray cluster answers: Ray itself would try for minutes, and then may end the process."""
    named = []
    if address != "auto":
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise UserError(f"executor.address = {address}", allowed="auto, HOST:PORT", todo=NEXT)
        try:
            socket.create_connection((host.strip("[]"), int(port)), ANSWER).close()
        except OSError as error:
            raise UserError(f"executor.address = {address}: it does not answer ({error})", todo=NEXT) from error
        named = ["--address", address]
    check = [sys.executable, "-m", "ray.scripts.scripts", "health-check", *named]
    try:
        healthy = subprocess.run(check, capture_output=True, timeout=HEALTH, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        healthy = False
    if not healthy:
        raise UserError(f"executor.address = {address}: no Ray cluster answers there", todo=NEXT)
