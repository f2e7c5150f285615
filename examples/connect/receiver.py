"""A receiver of AllFly Connect webhooks with nothing but Python's standard library.

    python3 receiver.py --secret-file FILE [--port 8090] [--cert FILE --key FILE] [--answer 500,500,200]

It verifies every request (`svix-id`, `svix-timestamp`, `svix-signature`) over the raw body, treats what fails as hostile,
takes every `svix-id` once, and acknowledges at once. While a secret rotates, any one of several signatures is enough.
`--answer` gives statuses for the first requests that verify, to watch what the sender does with them; the last repeats,
and 0 is no answer at all.
The secret is read from its file at every request. It prints where it listens, then a line of JSON for each request.
"""

import argparse
import base64
import hashlib
import hmac
import json
import ssl
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE_S = 300


def verify(secret, headers, body, now):
    """Whether one of the `v1,` signatures is the base64 HMAC-SHA256 of `{id}.{timestamp}.{body}`; the key is what the
    base64 after `whsec_` stands for."""
    timestamp = headers.get("svix-timestamp", "")
    if not timestamp.isdigit() or abs(now - int(timestamp)) > TOLERANCE_S:
        return False
    signed = f"{headers.get('svix-id', '')}.{timestamp}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    given = (part.split(",", 1) for part in headers.get("svix-signature", "").split())
    return any(part[0] == "v1" and hmac.compare_digest(part[-1].encode(), expected) for part in given)


def secret_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


def receiver(secret_file, answers):
    handled = set()

    class Receiver(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            if not verify(secret_of(secret_file), headers, body, time.time()):
                return self.answer(401, headers, body, {"verdict": "refused"})
            event = json.loads(body)
            said = {"event": event}
            status = answers.pop(0) if len(answers) > 1 else answers[0]
            if status == 0:
                return time.sleep(3600)
            if not 200 <= status < 300:
                return self.answer(status, headers, body, {"verdict": "failed", **said})
            key = headers["svix-id"]
            verdict = "duplicate" if key in handled else "accepted"
            handled.add(key)
            return self.answer(status, headers, body, {"verdict": verdict, **said})

        def answer(self, status, headers, body, said):
            print(json.dumps({"status": status, **said, "path": self.path, "headers": headers, "body": body.decode()}) + "\n", end="", flush=True)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    return Receiver


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--secret-file", required=True)
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--answer", default="200")
    args = parser.parse_args()
    answers = [int(status) for status in args.answer.split(",")]
    server = ThreadingHTTPServer(("127.0.0.1", args.port), receiver(args.secret_file, answers))
    if args.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(args.cert, args.key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(f"listening on {'https' if args.cert else 'http'}://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
