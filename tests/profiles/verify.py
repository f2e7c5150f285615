"""Receivers as their owners wrote them for other senders, with the standard library only.

usage: verify.py KIND SECRET; standard input: {"headers": {...}, "body": "...", "url": "...", "method": "POST"}
Prints the event type, or ends with a reason.
"""
import base64
import hashlib
import hmac
import json
import re
import sys
import time


def stripe(headers, body, secret):
    pairs = [part.split("=", 1) for part in headers["stripe-signature"].split(",")]
    timestamp = next(value for name, value in pairs if name == "t")
    expected = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert abs(time.time() - int(timestamp)) < 300, "too old"
    assert any(name == "v1" and hmac.compare_digest(value, expected) for name, value in pairs), "bad signature"
    event = json.loads(body)
    assert event["object"] == "event" and event["id"].startswith("evt_") and "object" in event["data"], event
    return event["type"]


def hub(prefix, event):
    def verify(headers, body, secret):
        expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        assert hmac.compare_digest(headers[prefix], expected), "bad signature"
        return headers[event] if event else json.loads(body)["type"]

    return verify


def alakazam(headers, body, secret):
    fields = dict(part.split("=", 1) for part in headers["alakazam-signature"].split(","))
    expected = hmac.new(secret.encode(), fields["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(fields["v1"], expected), "bad signature"
    event = json.loads(body)
    assert set(event) == {"type", "created", "appId", "data"} and isinstance(event["created"], int), event
    assert event["type"] == headers["alakazam-event"]
    return event["type"]


def svix(headers, body, secret):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['svix-id']}.{headers['svix-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert any(hmac.compare_digest(one, expected) for one in headers["svix-signature"].split(" ")), "bad signature"
    return "verified"


def rfc9421(headers, body, secret):
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    assert headers["content-digest"] == f"sha-256=:{digest}:", "bad digest"
    label, parameters = headers["signature-input"].split("=", 1)
    components = re.findall(r'"([^"]+)"', parameters.split(")", 1)[0])
    assert {"@method", "@target-uri", "content-digest"} <= set(components), components
    derived = {"@method": request["method"], "@target-uri": request["url"]}
    base = "".join(f'"{name}": {derived.get(name) or headers[name]}\n' for name in components)
    base += f'"@signature-params": {parameters}'
    expected = base64.b64encode(hmac.new(base64.b64decode(secret), base.encode(), hashlib.sha256).digest()).decode()
    assert headers["signature"] == f"{label}=:{expected}:", "bad signature"
    return "verified"


KINDS = {
    "stripe-like": stripe,
    "github-like": hub("x-hub-signature-256", "x-github-event"),
    "acme": hub("x-acme-signature", "x-acme-event"),
    "nudj": hub("x-nudj-signature", "x-nudj-event"),
    "ilara": hub("x-ilara-signature", None),
    "alakazam": alakazam,
    "connect": svix,
    "rfc9421": rfc9421,
}

request = json.load(sys.stdin)
print(KINDS[sys.argv[1]](request["headers"], request["body"].encode(), sys.argv[2]))
