"""The fields of the Elastic Common Schema 8.17 that records use, with their types, from its field reference. No package carries the
schema; what stands here is checked by reading it."""

import datetime
import re

KEYWORD = "keyword"
LONG = "long"
DATE = "date"

FIELDS = {
    "@timestamp": DATE,
    "client.address": KEYWORD,
    "ecs.version": KEYWORD,
    "event.action": KEYWORD,
    "event.category": [KEYWORD],
    "event.dataset": KEYWORD,
    "event.duration": LONG,
    "event.kind": KEYWORD,
    "event.outcome": KEYWORD,
    "event.reason": KEYWORD,
    "event.type": [KEYWORD],
    "http.request.body.bytes": LONG,
    "http.request.id": KEYWORD,
    "http.request.method": KEYWORD,
    "http.response.body.bytes": LONG,
    "http.response.status_code": LONG,
    "server.address": KEYWORD,
    "service.name": KEYWORD,
    "service.version": KEYWORD,
    "trace.id": KEYWORD,
    "url.domain": KEYWORD,
    "url.path": KEYWORD,
    "url.scheme": KEYWORD,
    "user.id": KEYWORD,
    "user.name": KEYWORD,
    "user_agent.original": KEYWORD,
}
# Fields of our own stand under one name that the schema does not use.
OWN = "portcullis"
REQUIRED = ["@timestamp", "ecs.version"]
KINDS = {"alert", "asset", "enrichment", "event", "metric", "state", "pipeline_error", "signal"}
OUTCOMES = {"success", "failure", "unknown"}
# The types that the schema expects in a category, of those categories that are used.
TYPES = {
    "network": {"access", "allowed", "connection", "denied", "end", "info", "protocol", "start"},
    "web": {"access", "error", "info"},
    "configuration": {"access", "change", "creation", "deletion", "info"},
}


def flat(value, path=""):
    """The fields of a document with their dotted names."""
    if isinstance(value, dict) and value:
        for name, member in value.items():
            yield from flat(member, f"{path}.{name}" if path else name)
    else:
        yield path, value


def is_of(value, kind):
    if isinstance(kind, list):
        return isinstance(value, list) and value and all(is_of(item, kind[0]) for item in value)
    if kind == LONG:
        return type(value) is int and -(2**63) <= value < 2**63
    if not isinstance(value, str):
        return False
    if kind == DATE:
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value):
            return False
        return bool(datetime.datetime.fromisoformat(value[:19]))
    return True


def faults(document):
    """What is wrong with a document."""
    own = {name: member for name, member in document.items() if name != OWN}
    # An object without members says nothing.
    fields = {name: value for name, value in flat(own) if value != {}}
    found = [f"{name} is no field of ECS" for name in fields if name not in FIELDS]
    for name, value in fields.items():
        if name in FIELDS and not is_of(value, FIELDS[name]):
            found.append(f"{name}: {value!r} is no {FIELDS[name]}")
    found += [f"{name} is missing" for name in REQUIRED if name not in fields]
    if not isinstance(document.get(OWN), dict):
        found.append(f"{OWN} is missing")
    if fields.get("event.kind") not in KINDS:
        found.append(f"event.kind: {fields.get('event.kind')!r} is not allowed")
    if fields.get("event.outcome", "unknown") not in OUTCOMES:
        found.append(f"event.outcome: {fields['event.outcome']!r} is not allowed")
    categories = fields.get("event.category", [])
    expected = set().union(*(TYPES.get(category, set()) for category in categories))
    found += [f"event.category: {category!r} is none that is used" for category in categories if category not in TYPES]
    for kind in fields.get("event.type", []):
        if kind not in expected:
            found.append(f"event.type: {kind!r} is not expected in {categories}")
    return found
