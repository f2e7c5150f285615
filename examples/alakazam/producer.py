"""The other side of Alakazam's webhooks: async jobs that end in an event. Nothing but Python's standard library.

    POSTRIDER_KEY=pr_… python3 producer.py --url http://127.0.0.1:8071 --app my-app [--port 8091] [--seconds 0.5]

    POST /v1/worlds {"prompt": "an island", "async": true}   202 {"jobId"}
    GET  /v1/jobs/{jobId}                                     200 {"jobId", "status", …}

A job runs for some seconds. When it ends, the producer posts `world.generation.succeeded` (`worldId`, `jobId`) or, for a
prompt that says "fail", `world.generation.failed` (`jobId`, `error`) to Postrider, which delivers it to the app's webhooks.
The post carries the job's id as its idempotency key, so that repeating it makes no second event.
"""

import argparse
import json
import os
import threading
import time
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

POST_TRIES = 5


class Jobs:
    """Jobs by id, and what ends them."""

    def __init__(self, url, key, app, seconds):
        self.url, self.key, self.app, self.seconds = url, key, app, seconds
        self.jobs = {}

    def start(self, prompt):
        job = f"job_{uuid.uuid4().hex[:12]}"
        self.jobs[job] = {"jobId": job, "status": "running"}
        threading.Thread(target=self.run, args=(job, prompt), daemon=True).start()
        return job

    def run(self, job, prompt):
        time.sleep(self.seconds)
        if "fail" in prompt:
            data = {"jobId": job, "error": "The world could not be generated."}
            self.end(job, "failed", data)
        else:
            self.end(job, "succeeded", {"worldId": f"wld_{uuid.uuid4().hex[:12]}", "jobId": job})

    def end(self, job, status, data):
        self.post(job, f"world.generation.{status}", data)
        self.jobs[job] = {**data, "status": status}

    def post(self, job, event_type, data):
        body = json.dumps({"eventType": event_type, "payload": data}).encode()
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json", "Idempotency-Key": f"{job}.{event_type}"}
        request = urllib.request.Request(f"{self.url}/api/v1/app/{self.app}/msg", body, headers, method="POST")
        for left in reversed(range(POST_TRIES)):
            try:
                with urllib.request.urlopen(request, timeout=10):
                    return
            except OSError:
                if left == 0:
                    raise
                time.sleep(1)


def producer(jobs):
    class Producer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                asked = json.loads(body)
                prompt, later = str(asked["prompt"]), asked.get("async") is True
            except (ValueError, KeyError, TypeError):
                return self.answer(400, {"error": "Send {\"prompt\", \"async\": true}."})
            if self.path != "/v1/worlds":
                return self.answer(404, {"error": "There is no such path."})
            if not later:
                return self.answer(400, {"error": "This example makes worlds with \"async\": true only."})
            return self.answer(202, {"jobId": jobs.start(prompt)})

        def do_GET(self):
            job = jobs.jobs.get(self.path.removeprefix("/v1/jobs/")) if self.path.startswith("/v1/jobs/") else None
            return self.answer(200, job) if job else self.answer(404, {"error": "There is no such job."})

        def answer(self, status, said):
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Producer


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default="http://127.0.0.1:8071")
    parser.add_argument("--app", required=True)
    parser.add_argument("--port", type=int, default=8091)
    parser.add_argument("--seconds", type=float, default=0.5)
    args = parser.parse_args()
    jobs = Jobs(args.url.rstrip("/"), os.environ["POSTRIDER_KEY"], args.app, args.seconds)
    server = ThreadingHTTPServer(("127.0.0.1", args.port), producer(jobs))
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
