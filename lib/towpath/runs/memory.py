"""Peak memory of a process, as the system counted it."""

from __future__ import annotations

from pathlib import Path

import psutil


def peak_memory(pid: int) -> int | None:
    """The most resident memory that a process ever had, in bytes; None when it is gone.

    Linux keeps the peak itself (VmHWM in /proc/<pid>/status, proc_pid_status(5)); elsewhere it is what is resident now,
    and the peak comes from asking often.  `ru_maxrss` is no help: exec hands it on from the parent.
    """
    try:
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return None
