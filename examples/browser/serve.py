"""Hands the pages of this folder, and the client in `js/`, to a browser.

    npm install --prefix ../../js    # once: the packages that the client needs
    python serve.py [port]

Then open the address that it prints. It serves files and nothing else; the pages talk to the
Python side of each example by themselves.

It prints:

    open http://127.0.0.1:8000/
"""

import sys
from contextlib import suppress
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = "/examples/browser/"


class Files(SimpleHTTPRequestHandler):
    """The pages and the client, and nothing else of the checkout."""

    extensions_map: ClassVar[dict[str, str]] = {
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".mjs": "text/javascript",
    }

    def send_head(self) -> Any:
        """Answer a GET or HEAD."""
        if self.path == "/":
            self.send_response(HTTPStatus.FOUND)
            self.send_header("Location", PAGES)
            self.end_headers()
            return None
        if not self.served():
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def served(self) -> bool:
        """Whether the path leads into one of the two folders, wherever it says it does."""
        path = Path(self.translate_path(self.path)).resolve()
        return any(path.is_relative_to(ROOT / part) for part in ("examples/browser", "js"))

    def end_headers(self) -> None:
        """What is changed is seen at the next visit."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Finds its files in the checkout, wherever it is started."""

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection."""
        Files(request, client_address, self, directory=str(ROOT))


if __name__ == "__main__":
    with Server(("127.0.0.1", PORT), Files) as server:
        print(f"open http://127.0.0.1:{server.server_port}/", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()
