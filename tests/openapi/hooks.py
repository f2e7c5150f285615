"""What schemathesis is given beyond the description: objects that exist, and what it must leave alone."""

import json
import os
import zlib

import schemathesis

SEEDS = json.loads(os.environ["POSTRIDER_SEEDS"])
# Nobody outside is to hear from this: requests leave by a proxy that is not there.
PROXY = {"url": SEEDS["proxy"], "resolvedBy": "proxy"}


def is_kept(path_parameters):
    """Whether what is named is an object that everything else stands on: the key that is used, the seeds."""
    named = [value for value in (path_parameters or {}).values() if isinstance(value, str)]
    return bool(named) and named[-1] in SEEDS["kept"]


@schemathesis.hook
def filter_case(context, case):
    return case.operation.method.upper() != "DELETE" or not is_kept(case.path_parameters)


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
    for name in path_parameters:
        seed = known.get(name, SEEDS["ids"].get(name))
        if seed is not None:
            path_parameters[name] = seed
    return path_parameters


@schemathesis.hook
def map_body(context, body):
    operation = getattr(context, "operation", None)
    if operation is not None and operation.path == "/api/v1/proxy" and isinstance(body, dict) and "url" in body:
        body["url"] = PROXY["url"]
    return body
