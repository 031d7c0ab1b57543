"""Whose service it is that answers on a port."""

from __future__ import annotations

from pathlib import Path

import psutil


def listens(data_dir: Path, port: int) -> bool | None:
    """Whether the service that runs on this data folder listens on that port; None when the
    system does not let us see it."""
    try:
        main = psutil.Process(int((data_dir / "service.lock").read_text("ascii")))
        return any(
            connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            for process in (main, *main.children(recursive=True))
            for connection in process.net_connections("tcp")
        )
    except (PermissionError, psutil.AccessDenied):
        return None
    except (OSError, ValueError, psutil.NoSuchProcess):
        return False
