"""Shows a site to browsers of this machine only: on a login node, say, through a tunnel."""

import functools
import socket
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from robust3d.errors import UserError
from robust3d.files import cause

_HERE = "127.0.0.1"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """A line for each picture helps nobody."""

    def end_headers(self) -> None:
        """A site that was built again is shown at once."""
        self.send_header("Cache-Control", "no-store")
        super().end_headers()


def server_of(site: Path, port: int) -> ThreadingHTTPServer:
    """A server of a site's files on this machine's own address.

    Args:
        site: the folder.
        port: 0 for a free one.

    Raises:
        UserError: the port is taken, or is none.
    """
    try:
        return ThreadingHTTPServer((_HERE, port), functools.partial(_Quiet, directory=str(site)))
    except (OSError, OverflowError) as error:
        why = cause(error) if isinstance(error, OSError) else "ports are 0 to 65535"
        raise UserError(f"--serve {port}: {why}; leave the number out for a free port") from None


def serve(site: Path, port: int) -> None:
    """Serve until Ctrl-C; see `server_of`."""
    with server_of(site, port) as server:
        used = server.server_address[1]
        print(f"open http://{_HERE}:{used}/ (Ctrl-C ends it)")
        print(f"from elsewhere: ssh -L {used}:{_HERE}:{used} {socket.gethostname()}, then the same address", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
