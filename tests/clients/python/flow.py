"""The published Python client, unchanged, against a running server.

Calls every method that the API's contract covers, asserts what comes back, receives the deliveries on a port of its own and
verifies them with the library's verifier and with `standardwebhooks`. Prints a line for each method and their number.

    flow.py URL TOKEN
"""

import http.server
import json
import sys
import threading
import time
import uuid
from datetime import datetime, timedelta, timezone

import standardwebhooks
from svix.api import (
    ApplicationIn,
    ApplicationListOptions,
    ApplicationPatch,
    AppPortalAccessIn,
    EndpointHeadersIn,
    EndpointHeadersPatchIn,
    EndpointIn,
    EndpointListOptions,
    EndpointPatch,
    EndpointSecretRotateIn,
    EndpointUpsertIn,
    EventExampleIn,
    EventTypeIn,
    EventTypeListOptions,
    EventTypePatch,
    EventTypeUpsertIn,
    MessageAttemptListByEndpointOptions,
    MessageAttemptListByMsgOptions,
    MessageIn,
    MessageListOptions,
    RecoverIn,
    Svix,
    SvixOptions,
)
from svix.api.application import ApplicationCreateOptions
from svix.api.endpoint import EndpointCreateOptions, EndpointGetStatsOptions
from svix.api.errors.http_error import HttpError
from svix.api.errors.http_validation_error import HTTPValidationError
from svix.api.event_type import EventTypeDeleteOptions
from svix.api.message import MessageCreateOptions, MessageGetOptions
from svix.api.message_attempt import (
    MessageAttemptGetOptions,
    MessageAttemptListAttemptedDestinationsOptions,
    MessageAttemptListAttemptedMessagesOptions,
)
from svix.models import MessageAttemptTriggerType, MessageStatus, MessageStatusText, Ordering, StatusCodeClass
from svix.webhooks import Webhook, WebhookVerificationError

PATIENCE = 30.0

arrivals = []
refuse = threading.Event()


class Receiver(http.server.BaseHTTPRequestHandler):
    """Writes down what arrives; refuses while it is told to."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        arrivals.append((self.path, dict(self.headers), body))
        self.send_response(500 if refuse.is_set() else 200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


called = []


def call(name, function, *args):
    """Calls one method of the library and notes it."""
    result = function(*args)
    if name not in called:
        called.append(name)
        print("ok", name, flush=True)
    return result


def eventually(what, probe):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = probe()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"never happened: {what}")


def refused(status, function, *args):
    try:
        function(*args)
    except (HttpError, HTTPValidationError) as error:
        assert error.status_code == status, error
        return error
    raise AssertionError(f"was not refused with {status}")


def arrived(path, count):
    found = [a for a in arrivals if a[0] == path]
    return found if len(found) >= count else None


def applications(svix):
    app = call("application.create", svix.application.create, ApplicationIn(name="One", uid="py-one", metadata={"a": "b"}, throttle_rate=500))
    assert (app.name, app.uid, app.metadata, app.throttle_rate) == ("One", "py-one", {"a": "b"}, 500)
    assert app.id.startswith("app_") and app.created_at <= app.updated_at
    refused(409, svix.application.create, ApplicationIn(name="Two", uid="py-one"))
    again = call("application.get_or_create", svix.application.get_or_create, ApplicationIn(name="Else", uid="py-one"))
    assert (again.id, again.name) == (app.id, "One")
    assert call("application.get", svix.application.get, "py-one").id == app.id

    options = ApplicationCreateOptions(idempotency_key=f"py-{uuid.uuid4()}")
    first = svix.application.create(ApplicationIn(name="Twice"), options)
    assert svix.application.create(ApplicationIn(name="Twice"), options).id == first.id
    changed = call("application.upsert", svix.application.upsert, first.id, ApplicationIn(name="Thrice", uid="py-two"))
    assert (changed.id, changed.name, changed.uid) == (first.id, "Thrice", "py-two")
    made = svix.application.upsert("py-three", ApplicationIn(name="Made", uid="py-three"))
    assert made.uid == "py-three"
    patched = call("application.patch", svix.application.patch, "py-three", ApplicationPatch(name="Patched", metadata={"x": "y"}))
    assert (patched.name, patched.uid, patched.metadata) == ("Patched", "py-three", {"x": "y"})

    page = call("application.list", svix.application.list, ApplicationListOptions(limit=1, order=Ordering.ASCENDING))
    assert (len(page.data), page.done) == (1, False) and page.iterator
    following = svix.application.list(ApplicationListOptions(limit=50, order=Ordering.ASCENDING, iterator=page.iterator))
    assert following.done and {first.id, made.id} <= {a.id for a in following.data} and page.data[0].id not in {a.id for a in following.data}
    assert any(a.id == app.id for a in page.data + following.data)
    call("application.delete", svix.application.delete, "py-three")
    refused(404, svix.application.get, made.id)
    return app


def event_types(svix):
    schema = {"1": {"type": "object", "properties": {"id": {"type": "string"}}, "examples": [{"id": "first"}, {"id": "second"}]}}
    made = call("event_type.create", svix.event_type.create, EventTypeIn(name="py.paid", description="Paid", schemas=schema, group_name="py", feature_flags=["beta"]))
    assert (made.name, made.description, made.deprecated, made.group_name, made.feature_flags) == ("py.paid", "Paid", False, "py", ["beta"])
    refused(409, svix.event_type.create, EventTypeIn(name="py.paid", description="Paid"))
    assert call("event_type.get", svix.event_type.get, "py.paid").schemas == schema
    put = call("event_type.upsert", svix.event_type.upsert, "py.paid", EventTypeUpsertIn(description="Was paid", schemas=schema))
    assert put.description == "Was paid"
    assert svix.event_type.upsert("py.fresh", EventTypeUpsertIn(description="New")).name == "py.fresh"
    patched = call("event_type.patch", svix.event_type.patch, "py.fresh", EventTypePatch(description="Newer", deprecated=True))
    assert (patched.description, patched.deprecated) == ("Newer", True)
    listed = call("event_type.list", svix.event_type.list, EventTypeListOptions(limit=250, with_content=True))
    names = {e.name: e for e in listed.data}
    assert names["py.paid"].schemas == schema and "py.fresh" in names
    call("event_type.delete", svix.event_type.delete, "py.fresh")
    assert "py.fresh" not in {e.name for e in svix.event_type.list(EventTypeListOptions(limit=250)).data}
    archived = svix.event_type.list(EventTypeListOptions(limit=250, include_archived=True)).data
    assert [e.archived for e in archived if e.name == "py.fresh"] == [True]
    svix.event_type.delete("py.fresh", EventTypeDeleteOptions(expunge=True))
    refused(404, svix.event_type.get, "py.fresh")


def endpoints(svix, app, base):
    made = call(
        "endpoint.create",
        svix.endpoint.create,
        app.id,
        EndpointIn(url=f"{base}/main", uid="py-main", description="Main", event_types=["py.paid"], metadata={"k": "v"}, headers={"X-Custom": "yes"}, throttle_rate=400),
        EndpointCreateOptions(idempotency_key=f"py-{uuid.uuid4()}"),
    )
    assert (made.url, made.uid, made.description, made.event_types) == (f"{base}/main", "py-main", "Main", ["py.paid"])
    assert (made.metadata, made.throttle_rate, made.disabled) == ({"k": "v"}, 400, False)
    assert call("endpoint.get", svix.endpoint.get, app.id, "py-main").id == made.id
    other = call("endpoint.upsert", svix.endpoint.upsert, app.id, "py-other", EndpointUpsertIn(url=f"{base}/other", uid="py-other", channels=["red"]))
    assert (other.uid, other.channels) == ("py-other", ["red"])
    put = svix.endpoint.upsert(app.id, "py-other", EndpointUpsertIn(url=f"{base}/other2", uid="py-other"))
    assert (put.id, put.url, put.channels) == (other.id, f"{base}/other2", None)
    patched = call("endpoint.patch", svix.endpoint.patch, app.id, "py-other", EndpointPatch(description="Patched", disabled=True))
    assert (patched.description, patched.disabled, patched.url) == ("Patched", True, f"{base}/other2")
    page = call("endpoint.list", svix.endpoint.list, app.id, EndpointListOptions(limit=1))
    assert len(page.data) == 1 and not page.done
    rest = svix.endpoint.list(app.id, EndpointListOptions(limit=1, iterator=page.iterator))
    assert {page.data[0].id, rest.data[0].id} == {made.id, other.id}
    assert svix.endpoint.list(app.id, EndpointListOptions(limit=1, iterator=rest.prev_iterator)).data[0].id == page.data[0].id
    call("endpoint.delete", svix.endpoint.delete, app.id, "py-other")
    refused(404, svix.endpoint.get, app.id, other.id)

    assert call("endpoint.get_headers", svix.endpoint.get_headers, app.id, made.id).headers == {"x-custom": "yes"}
    call("endpoint.set_headers", svix.endpoint.set_headers, app.id, made.id, EndpointHeadersIn(headers={"x-one": "1", "x-two": "2"}))
    call("endpoint.patch_headers", svix.endpoint.patch_headers, app.id, made.id, EndpointHeadersPatchIn(headers={"x-three": "3"}, delete_headers=["x-one"]))
    headers = svix.endpoint.get_headers(app.id, made.id)
    assert {k.lower(): v for k, v in headers.headers.items()} == {"x-two": "2", "x-three": "3"}, headers
    return made


def verified(secret, arrival):
    """Both verifiers accept the delivery, and refuse it when it is changed."""
    _, headers, body = arrival
    Webhook(secret).verify(body, headers)
    lower = {k.lower(): v for k, v in headers.items()}
    standardwebhooks.Webhook(secret).verify(body, lower)
    for verify in (lambda b: Webhook(secret).verify(b, headers), lambda b: standardwebhooks.Webhook(secret).verify(b, lower)):
        try:
            verify(body + b" ")
        except (WebhookVerificationError, standardwebhooks.WebhookVerificationError):
            continue
        raise AssertionError("a changed body was accepted")


def messages(svix, app, endpoint):
    secret = call("endpoint.get_secret", svix.endpoint.get_secret, app.id, endpoint.id).key
    assert secret.startswith("whsec_")
    payload = {"id": "in_1", "amount": 12.5, "text": "žluťoučký"}
    sent = call(
        "message.create",
        svix.message.create,
        app.id,
        MessageIn(event_type="py.paid", event_id="py-1", payload=payload, channels=["red"], tags=["t1"], payload_retention_hours=24),
        MessageCreateOptions(with_content=True),
    )
    assert (sent.event_type, sent.event_id, sent.payload, sent.channels, sent.tags) == ("py.paid", "py-1", payload, ["red"], ["t1"])
    refused(409, svix.message.create, app.id, MessageIn(event_type="py.paid", event_id="py-1", payload=payload))
    arrival = eventually("the delivery", lambda: arrived("/main", 1))[0]
    verified(secret, arrival)
    lower = {k.lower(): v for k, v in arrival[1].items()}
    assert json.loads(arrival[2]) == payload and lower["webhook-id"] == sent.id
    assert (lower["x-two"], lower["x-three"], lower["content-type"]) == ("2", "3", "application/json")

    assert call("message.get", svix.message.get, app.id, sent.id, MessageGetOptions(with_content=True)).payload == payload
    assert svix.message.get(app.id, "py-1", MessageGetOptions(with_content=False)).id == sent.id
    listed = call("message.list", svix.message.list, app.id, MessageListOptions(tag="t1", channel="red", event_types=["py.paid"], with_content=True))
    assert [m.id for m in listed.data] == [sent.id] and listed.data[0].payload == payload
    assert svix.message.list(app.id, MessageListOptions(tag="unknown")).data == []
    before = MessageListOptions(before=sent.timestamp - timedelta(minutes=5))
    assert svix.message.list(app.id, before).data == []

    later = datetime.now(timezone.utc) + timedelta(hours=1)
    scheduled = svix.message.create(app.id, MessageIn(event_type="py.paid", payload={"later": True}, deliver_at=later))
    assert abs((scheduled.deliver_at - later).total_seconds()) < 1

    rotated = call("endpoint.rotate_secret", svix.endpoint.rotate_secret, app.id, endpoint.id, EndpointSecretRotateIn(grace_period_seconds=3600))
    fresh = svix.endpoint.get_secret(app.id, endpoint.id).key
    assert fresh != secret
    del rotated
    svix.message.create(app.id, MessageIn(event_type="py.paid", payload={"n": 2}))
    second = eventually("the delivery after the rotation", lambda: arrived("/main", 2))[1]
    verified(secret, second)
    verified(fresh, second)
    return sent


def attempts(svix, app, endpoint, sent):
    eventually("an attempt", lambda: svix.message_attempt.list_by_msg(app.id, sent.id).data)
    by_msg = call(
        "message_attempt.list_by_msg",
        svix.message_attempt.list_by_msg,
        app.id,
        sent.id,
        MessageAttemptListByMsgOptions(endpoint_id=endpoint.id, status=MessageStatus.SUCCESS, status_code_class=StatusCodeClass.CODE2XX, expanded_statuses=True, with_content=True, tag="t1"),
    )
    attempt = by_msg.data[0]
    assert (attempt.endpoint_id, attempt.msg_id, attempt.response_status_code, attempt.response) == (endpoint.id, sent.id, 200, "ok")
    assert (attempt.status, attempt.status_text) == (MessageStatus.SUCCESS, MessageStatusText.SUCCESS)
    assert attempt.trigger_type == MessageAttemptTriggerType.SCHEDULED and attempt.url == endpoint.url
    listed = call(
        "message_attempt.list_by_endpoint",
        svix.message_attempt.list_by_endpoint,
        app.id,
        endpoint.id,
        MessageAttemptListByEndpointOptions(with_msg=True, tag="t1", event_types=["py.paid"], limit=10),
    )
    assert [a.id for a in listed.data] == [attempt.id] and listed.data[0].msg.id == sent.id
    got = call("message_attempt.get", svix.message_attempt.get, app.id, sent.id, attempt.id, MessageAttemptGetOptions(expanded_statuses=True))
    assert (got.id, got.response) == (attempt.id, "ok")
    attempted = call(
        "message_attempt.list_attempted_messages",
        svix.message_attempt.list_attempted_messages,
        app.id,
        endpoint.id,
        MessageAttemptListAttemptedMessagesOptions(tag="t1", status=MessageStatus.SUCCESS, with_content=True),
    )
    assert [(m.id, m.status) for m in attempted.data] == [(sent.id, MessageStatus.SUCCESS)]
    destinations = call(
        "message_attempt.list_attempted_destinations",
        svix.message_attempt.list_attempted_destinations,
        app.id,
        sent.id,
        MessageAttemptListAttemptedDestinationsOptions(limit=10),
    )
    assert [(d.id, d.status) for d in destinations.data] == [(endpoint.id, MessageStatus.SUCCESS)]

    count = len(arrived("/main", 1))
    call("message_attempt.resend", svix.message_attempt.resend, app.id, sent.id, endpoint.id)
    eventually("the resent delivery", lambda: arrived("/main", count + 1))
    manual = eventually("the manual attempt", lambda: [a for a in svix.message_attempt.list_by_msg(app.id, sent.id).data if a.trigger_type == MessageAttemptTriggerType.MANUAL])
    call("message_attempt.expunge_content", svix.message_attempt.expunge_content, app.id, sent.id, manual[0].id)
    assert svix.message_attempt.get(app.id, sent.id, manual[0].id).response != "ok"
    call("message.expunge_content", svix.message.expunge_content, app.id, sent.id)
    assert svix.message.get(app.id, sent.id, MessageGetOptions(with_content=True)).payload.get("amount") is None


def operations(svix, app, endpoint, base):
    count = len(arrived("/main", 1))
    example = call("endpoint.send_example", svix.endpoint.send_example, app.id, endpoint.id, EventExampleIn(event_type="py.paid", example_index=1))
    assert example.event_type == "py.paid"
    eventually("the example", lambda: any(json.loads(a[2]) == {"id": "second"} for a in arrivals[0:] if a[0] == "/main"))
    assert len(arrived("/main", 1)) > count

    refuse.set()
    failing = svix.message.create(app.id, MessageIn(event_type="py.paid", payload={"fails": True}))
    status = lambda: [d for d in svix.message_attempt.list_attempted_destinations(app.id, failing.id).data if d.next_attempt]
    pending = eventually("a failed attempt with a retry ahead", status)
    assert pending[0].status in (MessageStatus.PENDING, MessageStatus.FAIL)
    refuse.clear()
    since = datetime.now(timezone.utc) - timedelta(hours=1)
    recovery = call("endpoint.recover", svix.endpoint.recover, app.id, endpoint.id, RecoverIn(since=since))
    assert recovery.id and str(recovery.task.value) == "endpoint.recover"
    stats = call("endpoint.get_stats", svix.endpoint.get_stats, app.id, endpoint.id, EndpointGetStatsOptions(since=since))
    assert stats.success >= 3 and stats.success + stats.pending + stats.sending + stats.fail >= 4, stats


def authentication(svix, app, url):
    access = call(
        "authentication.app_portal_access",
        svix.authentication.app_portal_access,
        app.id,
        AppPortalAccessIn(read_only=True, expiry=7200, feature_flags=["beta"]),
    )
    assert access.token and access.url.startswith("http")
    portal = Svix(access.token, SvixOptions(server_url=url))
    assert portal.endpoint.list(app.id).data
    assert refused(403, portal.endpoint.create, app.id, EndpointIn(url="http://127.0.0.1:9/x")).code
    assert refused(404, portal.endpoint.list, "py-two").code
    call("authentication.logout", portal.authentication.logout)
    refused(401, portal.endpoint.list, app.id)


def main(url, token):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_address[1]}"
    svix = Svix(token, SvixOptions(server_url=url))
    call("health.get", svix.health.get)
    app = applications(svix)
    event_types(svix)
    endpoint = endpoints(svix, app, base)
    sent = messages(svix, app, endpoint)
    attempts(svix, app, endpoint, sent)
    operations(svix, app, endpoint, base)
    authentication(svix, app, url)
    invalid = refused(422, svix.application.create, ApplicationIn(name="x", uid="not valid!"))
    assert invalid.detail
    print(f"{len(called)} methods", flush=True)


main(*sys.argv[1:])
