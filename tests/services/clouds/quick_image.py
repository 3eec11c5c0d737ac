"""Images that start in a tenth of a second: Python alone, and a server of a few lines that tells what it was given."""

from __future__ import annotations

import images

SERVER = """
import http.server, json, os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("starting", VERSION, flush=True)
if CRASHES:
    sys.exit("told to crash")
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = {"/ping": "{}", "/environment": json.dumps(dict(os.environ))}
        body["/metrics"] = f"version_info{{version=\\"{VERSION}\\"}} 1\\n"
        data = body.get(self.path, VERSION).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""


def quick_image(registry: images.Registry, version: str, *, crashes: bool = False) -> str:
    """Return ``repository@sha256:…`` of a server that answers every path with *version*, or of one that ends at once.

    /ping is ``{}``, /metrics has one line, /environment shows its variables: what else would a test look at?
    """
    images.base_image(registry)
    python = registry._base_layers[0]
    registry.mount_blob("quick", python.digest, images._BASE)
    settings: dict[str, object] = {
        "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
        "Entrypoint": ["python3", "-c", f"VERSION = {version!r}\nCRASHES = {crashes}\n{SERVER}"],
        "User": "65534:65534",
    }
    return images._push_image(registry, f"quick:{version}", [python], settings)
