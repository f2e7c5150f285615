"""A receiver of forwarded Alumia webhooks with nothing but Python's standard library.

    python3 receiver.py --secret-file FILE [--port 8090] [--cert FILE --key FILE] [--answer 500,500,200]

Alumia forwards what a webhook has received to its outbound `url`: the exact bytes that came, signed with the webhook's
secret as `X-Webhook-Signature: sha256=` and the hex HMAC-SHA256 of the body.
`--answer` gives statuses for the first requests that verify, to watch what the sender does with them; the last repeats,
and 0 is no answer at all.
The secret is read from its file at every request. It prints where it listens, then a line of JSON for each request.
"""

import argparse
import hashlib
import hmac
import json
import ssl
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def verify(secret, headers, body, _now):
    """Whether `X-Webhook-Signature` is `sha256=` and the hex HMAC-SHA256 of the raw body under the webhook's secret."""
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), headers.get("x-webhook-signature", "").encode())


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
            key = body
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
