"""A receiver of Nudj webhooks with nothing but Python's standard library.

    python3 receiver.py --secret-file FILE [--port 8090] [--answer 500,500,200]

It does what the document recommends: verifies the signature before it looks at the event, remembers every event id for
24 hours and does the work once, answers 2xx on success. A 5xx asks for a retry, a 4xx ends the delivery.
`--answer` gives statuses for the first requests that verify, to watch what the sender does with them; the last repeats.
The secret is read from its file at every request. It prints where it listens, then a line of JSON for each request.
"""

import argparse
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REMEMBER_S = 24 * 3600


def verified(secret: str, body: bytes, header: str) -> bool:
    """Whether `X-Nudj-Signature` is `sha256=` and the hex HMAC-SHA256 of the raw body under the shared secret."""
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), header.encode())


def secret_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


class Seen:
    """Event ids that were processed, for a day."""

    def __init__(self):
        self.ids = {}

    def has(self, event_id):
        """Whether it was processed; from now on it was."""
        now = time.time()
        self.ids = {known: until for known, until in self.ids.items() if until > now}
        repeated = event_id in self.ids
        self.ids.setdefault(event_id, now + REMEMBER_S)
        return repeated


def receiver(secret_file, answers):
    seen = Seen()
    # Deliveries come at the same time: one is handled after the other.
    turn = threading.Lock()

    class Receiver(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def take(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if not verified(secret_of(secret_file), body, self.headers.get("X-Nudj-Signature", "")):
                return self.answer(401, body, {"verdict": "refused"})
            event = json.loads(body)
            said = {
                "method": self.command,
                "id": event["id"],
                "event": event["event"],
                "timestamp": event["timestamp"],
                "data": event["data"],
                "header": self.headers.get("X-Nudj-Event"),
                "delivery": self.headers.get("X-Nudj-Delivery-Id"),
            }
            with turn:
                status = answers.pop(0) if len(answers) > 1 else answers[0]
                if status >= 300:
                    return self.answer(status, body, {"verdict": "failed", **said})
                if seen.has(event["id"]):
                    return self.answer(200, body, {"verdict": "duplicate", **said})
                # Here the work is done.
                return self.answer(status, body, {"verdict": "accepted", **said})

        do_POST = do_PUT = do_PATCH = take

        def answer(self, status, received, said):
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = {"path": self.path, "headers": headers, "body": received.decode()}
            print(json.dumps({"status": status, **said, **request}) + "\n", end="", flush=True)
            body = json.dumps({"verdict": said["verdict"]}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Receiver


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--secret-file", required=True)
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--answer", default="200")
    args = parser.parse_args()
    answers = [int(status) for status in args.answer.split(",")]
    server = ThreadingHTTPServer(("127.0.0.1", args.port), receiver(args.secret_file, answers))
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
