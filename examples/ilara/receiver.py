"""A receiver of Ilara webhooks with nothing but Python's standard library.

    python3 receiver.py --secret-file FILE [--port 8090] [--answer 500,404,200]

It verifies the signature over the raw body, answers at once, and takes every event id once, as the document's best
practices say.
`--answer` gives statuses for the first requests that verify, to watch what the sender does with them; the last repeats.
The secret is read from its file at every request. It prints where it listens, then a line of JSON for each request.
"""

import argparse
import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def verify_webhook(payload: bytes, signature: str, secret: str) -> bool:
    """Whether `X-Ilara-Signature` is `sha256=` and the hex HMAC-SHA256 of the body; the key is the secret's own text."""
    expected = hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()
    return hmac.compare_digest(signature.encode(), f"sha256={expected}".encode())


def secret_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


def receiver(secret_file, answers):
    handled = set()
    # Deliveries come at the same time: one is handled after the other.
    turn = threading.Lock()

    class Receiver(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            payload = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if not verify_webhook(payload, self.headers.get("X-Ilara-Signature", ""), secret_of(secret_file)):
                return self.answer(401, payload, {"verdict": "Invalid signature"})
            event = json.loads(payload)
            said = {name: event.get(name) for name in ("id", "type", "timestamp", "data", "metadata")}
            with turn:
                status = answers.pop(0) if len(answers) > 1 else answers[0]
                if status >= 300:
                    return self.answer(status, payload, {"verdict": "failed", **said})
                verdict = "duplicate" if event["id"] in handled else "accepted"
                handled.add(event["id"])
                return self.answer(status, payload, {"verdict": verdict, **said})

        def answer(self, status, received, said):
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = {"path": self.path, "headers": headers, "body": received.decode()}
            print(json.dumps({"status": status, **said, **request}) + "\n", end="", flush=True)
            body = said["verdict"].encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain")
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
