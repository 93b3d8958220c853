"""What schemathesis checks beside its own: every error is a valid problem document that says what the response says."""

import json
import pathlib

import jsonschema_rs
import schemathesis

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "filters/problem-json/tests/schema"
RFC, STRICT = (
    jsonschema_rs.validator_for(json.loads((SCHEMAS / name).read_text()), validate_formats=True)
    for name in ("rfc9457.json", "strict.json")
)


@schemathesis.check
def problem(ctx, response, case):
    if response.status_code < 400:
        return
    kind = response.headers.get("content-type")
    assert kind == ["application/problem+json"], f"{response.status_code} leaves as {kind}"
    document = json.loads(response.content)
    # A type of its own brings members of its own: that of RateLimit has one with a hyphen.
    ours = document.get("type") == "about:blank"
    for validator in [RFC, STRICT] if ours else [RFC]:
        wrong = [error.message for error in validator.iter_errors(document)]
        assert not wrong, f"{wrong} in {document}"
    assert document["status"] == response.status_code, f"{response.status_code} says {document['status']}"
    ids = response.headers.get("x-request-id")
    assert ids == [document["request_id"]], f"X-Request-Id is {ids}, request_id {document['request_id']}"
