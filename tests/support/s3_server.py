"""moto's S3 on a free port of loopback, every answer written down: `python s3_server.py requests.jsonl`.

Prints its port. Ends when its standard input does, so that it never outlives whoever started it.
"""

import json
import sys
import threading
from pathlib import Path

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


class Noted:
    """Passes requests on, and writes a line for each with what it answered."""

    def __init__(self, inner, path: Path) -> None:
        self._inner = inner
        self._stream = path.open("a", buffering=1)
        self._lock = threading.Lock()

    def __call__(self, environ, start_response):
        status = []

        def started(text, headers, *rest):
            status.append(int(text.split()[0]))
            return start_response(text, headers, *rest)

        body = b"".join(self._inner(environ, started))
        line = {
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"],
            "listing": "list-type" in environ.get("QUERY_STRING", ""),
            "signed": "HTTP_AUTHORIZATION" in environ,
            "status": status[0],
            "body_bytes": len(body),
        }
        with self._lock:
            self._stream.write(json.dumps(line) + "\n")
        return [body]


class Quiet(WSGIRequestHandler):
    """Says nothing on the console."""

    def log_request(self, *arguments) -> None:
        """Leave it to `Noted`."""


def main() -> None:
    app = Noted(DomainDispatcherApplication(create_backend_app), Path(sys.argv[1]))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
