"""What schemathesis is given beyond the description: objects that exist, and what it must leave alone."""

import json
import os
import re
import zlib

import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData
from schemathesis.specs.openapi.checks import positive_data_acceptance

SEEDS = json.loads(os.environ["POSTRIDER_SEEDS"])
# Nobody outside is to hear from this: requests leave by a proxy that is not there.
PROXY_CHARS = 2048
PROXY = {"url": SEEDS["proxy"], "resolvedBy": "proxy"}


def is_kept(path_parameters):
    """Whether what is named is an object that everything else stands on: the key that is used, the seeds."""
    named = [value for value in (path_parameters or {}).values() if isinstance(value, str)]
    return bool(named) and named[-1] in SEEDS["kept"]


@schemathesis.hook
def filter_case(context, case):
    return case.operation.method.upper() != "DELETE" or not is_kept(case.path_parameters)


# Parameters of paths that are described by the rule of names, and this rule.
NAMED = ("app_id", "endpoint_id", "event_type_name", "msg_id", "source_id")
NAME = re.compile(r"[a-zA-Z0-9\-_.]{1,256}")


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Requests other than deletions mean objects that are there, three times of four; deletions do not."""
    operation = getattr(context, "operation", None)
    if not path_parameters or operation is None:
        return path_parameters
    if operation.method.upper() == "DELETE":
        if is_kept(path_parameters):
            last = list(path_parameters)[-1]
            path_parameters[last] += "x"
        return path_parameters
    if zlib.crc32(repr(path_parameters).encode()) % 4 == 0:
        return path_parameters
    known = SEEDS["paths"].get(operation.path, {})
    for name, value in path_parameters.items():
        # What breaks the rule of names must be refused: it stays what it is.
        if name in NAMED and not (isinstance(value, str) and NAME.fullmatch(value)):
            continue
        seed = known.get(name, SEEDS["ids"].get(name))
        if seed is not None:
            path_parameters[name] = seed
    return path_parameters


@schemathesis.hook
def map_body(context, body):
    operation = getattr(context, "operation", None)
    # What is no URL of a proxy stays what it is: it must be refused.
    if operation is not None and operation.path == "/api/v1/proxy" and isinstance(body, dict) and "url" in body:
        if isinstance(body["url"], str) and re.match("(http|socks5)://", body["url"]) and len(body["url"]) <= PROXY_CHARS:
            body["url"] = PROXY["url"]
    return body


# What JSON Schema has no words for: a refusal that names only such rules is no breach of the description. Operation, place, rule
# (`type: msg` of a fault), each as a regular expression that matches all of it.
ENDPOINTS = r"(POST|PUT|PATCH) /api/v1/(app/\{app_id\}|operational-webhook)/endpoint(/\{endpoint_id\})?"
PROFILES = r"(POST|PUT|PATCH) /api/v1/profile(/.*)?"
REPLAYS = r"POST /api/v1/(.*/)?(replay|cancel|recover|replay-missing|bulk-replay)(/preview)?"
SOURCES = r"(POST|PUT|PATCH) /api/v1/source(/\{source_id\})?"
UNSAYABLE = [
    # An iterator, and a place in a ledger, is one that this very list has given out.
    (r"GET .*", r"query\.iterator", r"iterator: .*"),
    (r"GET .*/ledger", r"query\.after", r"pattern: .*"),
    # The format `date-time` goes from the year 0 to leap seconds; a server's years are those from 1970 on.
    (r".*", r"(body|query)\.(since|until|after|before|now|deliverAt)", r".*instant.*RFC 3339.*"),
    # 1.0 is an integer to JSON Schema, and none to most parsers.
    (r".*", r"body\..*", r"type_error: invalid type: floating point `\d+\.0`.*"),
    (r".*", r"body(\.application)?\.retryPolicy", r"type_error: .*"),
    # Bytes are counted, where JSON Schema counts characters.
    (r".*", r"body\..*", r"length: .*\bbytes\.?"),
    # A name that a path cannot hold; one in the form of an id.
    (r".*", r"(body|query)\..*", r"pattern: (A path cannot hold|A uid may not have the form of).*"),
    # Instants are compared with one another, and with now.
    (REPLAYS, r"body\.(since|until)", r"range: .*"),
    (r"GET .*/(stats|ledger)", r"query\.(since|until|after|before)", r"range: .*"),
    (r"POST .*/msg", r"body\.deliverAt", r"range: .*"),
    # One of two fields, or one with another.
    (r"POST .*/msg", r"body\.payloadRetentionHours", r"exclusive: .*"),
    (r"POST .*/msg", r"body\.application\.uid", r"mismatch: .*"),
    (r"POST /api/v1/replay(/preview)?", r"body\.newestPerOrderingKey", r"exclusive: .*"),
    (r"POST /api/v1/erase", r"body\.(tag|path|value)", r"(missing|type_error|range): .*"),
    (r"(POST|PUT) /api/v1/alert(/\{alert_id\})?", r"body\.(appId|emails)", r"missing: .*"),
    (r"PUT /api/v1/(app/\{app_id\}/)?retention", r"body\.(messageHours|payloadHours)", r"range: Payloads.* would be kept .*"),
    (r"PUT /api/v1/proxy", r"body\.username", r"missing: .*"),
    (r"POST .*/source/\{source_id\}/verify", r"body\.(body|bodyBase64)", r"exclusive: .*"),
    # Grammars: filters, paths into payloads, profiles and schemes (a language of their own), URLs, addresses of e-mail, ranges of
    # addresses, secrets, certificates, requests that are to be verified.
    (r".*", r"body\.filter(\..*)?", r"filter: .*"),
    (r"POST /api/v1/erase", r"body\.path", r"pattern: .*"),
    (r"POST /api/v1/replay(/preview)?", r"body\.newestPer", r"pattern: .*"),
    (ENDPOINTS, r"body\.ordering", r"type_error: .*"),
    (PROFILES, r"body(\..*)?", r"(profile|type_error|unsupported|unsigned|secret|pattern|length|url|scheme|unknown|range): .*"),
    (r".*", r"body\.(url|authentication\.tokenUrl)", r"url: .*"),
    (r"(POST|PUT) /api/v1/alert(/\{alert_id\})?", r"body\.emails\.\d+", r"(email|unique): .*"),
    (SOURCES, r"body\.allowCidrs\.\d+", r"cidr: .*"),
    (r"PUT /api/v1/branding", r"body\.origins\.\d+", r"origin: .*"),
    (r"PUT /api/v1/branding/logo", r"body\.image", r"(image|base64): .*"),
    (SOURCES, r"body\.(scheme|provider|secret|secrets|settings)(\..*)?", r".*"),
    (r"POST .*/secret/rotate", r"body\.(key|secret)", r".*"),
    (ENDPOINTS, r"body\.secret", r".*"),
    (r"PUT .*/credentials", r"body\.(authentication|clientCertificate|ca)(\..*)?", r".*"),
    (r"POST .*/source/\{source_id\}/verify", r"body\.(headers|body|bodyBase64)", r".*"),
    # Names that Postrider needs for itself, or that differ only in letters' case.
    (r".*", r"body\.headers(\..*)?", r"pattern: this header is set by Postrider.*|(unique|exclusive|duplicate): .*"),
    (SOURCES, r"body\.(forwardHeaders|response\.headers)(\..*)?", r"(reserved|unique): .*"),
    (SOURCES, r"body\.response\.body", r"range: An answer with the status 20[45].*"),
    (SOURCES, r"body\.(split|uid)", r"(unsupported|reserved|pattern): .*"),
    # Things that must exist, by name.
    (ENDPOINTS, r"body\.(eventTypes(\.\d+)?|profile)", r"(unknown|profile): .*"),
    (r"(POST|PUT|PATCH) /api/v1/app(/\{app_id\})?", r"body\.profile", r"(unknown|profile): .*"),
    (r"POST .*/(msg|app-portal-access/\{app_id\})", r"body(\.application)?\.profile", r"(unknown|profile): .*"),
    (r"GET /api/v1/source", r"query\.(provider|appId)", r"unknown: .*"),
    (SOURCES, r"body\.appId", r"(unknown|immutable): .*"),
    # What a path names is made with that name.
    (r"PUT /api/v1/app/\{app_id\}(/endpoint/\{endpoint_id\})?", r"(body\.uid|path\..*)", r"pattern: .*"),
    (r"POST .*/send-example", r"body\.(eventType|exampleIndex)", r"(unknown|no_example|range): .*"),
    (r"POST .*/msg", r"body\.eventType", r"reserved: .*"),
    (r"POST .*/msg", r"body\.transformationsParams\.rawPayload", r"pattern: .*"),
    (r"POST .*/source/\{source_id\}/test", r"body\.eventType", r"type: .*"),
    # How much there is already.
    (r"POST .*/(secret|url)/rotate", r"body\.gracePeriodSeconds", r"limit: .*"),
    # Nesting.
    (r"POST .*", r"body\.payload", r"depth: .*"),
    # Any letters but blanks, whatever the script.
    (r"POST /api/v1/user", r"body\.login", r"pattern: .*"),
    # Counted without the blanks around it.
    (r"(POST|PUT) /api/v1/alert(/\{alert_id\})?", r"body\.name", r"length: .*"),
]
# Names of fields that were sent may be anything, also ends of lines.
UNSAYABLE = [tuple(re.compile(rule, re.DOTALL) for rule in entry) for entry in UNSAYABLE]
SURVEY = os.environ.get("POSTRIDER_SURVEY")


def is_unsayable(label, fault):
    place = ".".join(fault["loc"])
    return any(
        operation.fullmatch(label) and where.fullmatch(place) and rule.fullmatch(fault["type"] + ": " + fault["msg"])
        for operation, where, rule in UNSAYABLE
    )


@schemathesis.check
def what_is_described_is_accepted(ctx, response, case):
    """The check of the same sense that schemathesis brings, but for refusals that no description can foresee."""
    try:
        positive_data_acceptance(ctx, response, case)
    except RejectedPositiveData:
        try:
            faults = response.json()["detail"]
        except Exception:
            faults = response.text
        if isinstance(faults, list):
            faults = [fault for fault in faults if not is_unsayable(case.operation.label, fault)]
            if not faults:
                return
        if SURVEY:
            with open(SURVEY, "a") as out:
                print(case.operation.label, response.status_code, json.dumps(faults), json.dumps(case.body, default=str)[:300],
                      json.dumps(dict(case.query or {}), default=str)[:200], file=out)
            return
        raise
