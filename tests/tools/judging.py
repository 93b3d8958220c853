"""The judges from outside: schemathesis and httplint read the errors that leave what `make run` starts."""

import http.client
import json
import os
import re
import subprocess

import demo
from console import Failure, run
from judges import FOLDER, JUDGES

# Enough that each operation gets each kind of answer; without a seed that could change, the same ones on each run.
EXAMPLES = 40


def schemathesis(port):
    """Requests of all kinds for what the OpenAPI document says; every answer from 400 on has to be a problem document."""
    checks = ["status_code_conformance", "content_type_conformance", "response_schema_conformance", "problem"]
    command = [JUDGES.python(), "-m", "schemathesis.cli", "run", FOLDER / "openapi.json", "--url", f"https://127.0.0.1:{port}", "--tls-verify", "false"]
    command += ["--checks", ",".join(checks), "--phases", "examples,coverage,fuzzing"]
    command += ["--max-examples", EXAMPLES, "--generation-deterministic"]
    command += ["--workers", "1", "--request-timeout", "20", "--suppress-health-check", "all", "--warnings", "off"]
    command += ["--continue-on-failure", "--no-color"]
    hooks = {"SCHEMATHESIS_HOOKS": "problem_check", "PYTHONPATH": str(FOLDER), "PYTHONDONTWRITEBYTECODE": "1"}
    run(command, cwd=demo.RUN, extra_env=hooks)


def _get(target, method="GET", body=None, host=True, **headers):
    return {"target": target, "method": method, "body": body, "host": host, "headers": headers}


FORGED = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
# (what it is, the status that leaves, the request). The last of the same target exhausts the plan of this key.
ERRORS = [
    ("an error with a body", 404, _get("/status/404")),
    ("an error of the server", 500, _get("/status/500")),
    ("an upstream's 502", 502, _get("/status/502")),
    ("an error without a body", 404, _get("/text?status=404&body=")),
    ("an upstream that dies", 503, _get("/abort/headers")),
    ("an invalid status", 502, _get("/status/600")),
    ("wrong credentials", 401, _get("/text?status=401&header=WWW-Authenticate:Basic%20realm=%22a%22")),
    ("a wrong method", 405, _get("/text?status=405&header=Allow:GET")),
    ("HTML in pieces", 500, _get("/html?status=500&framing=chunked&chunk=9")),
    ("a page", 404, _get("/web/status/404", Accept="text/html", **{"Sec-Fetch-Mode": "navigate"})),
    ("a cross-site post", 403, _get("/web/transfer", "POST", b"amount=1", **FORGED)),
    ("no host", 400, _get("/text", host=False)),
    ("too long a header", 431, _get("/text", **{"X-Long": "x" * 100_000})),
    *[("over the plan", 429, _get("/text", **{"X-Api-Key": "demo-free"}))] * 11,
]


def _ask(port, request):
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=demo.TRUSTING)
    try:
        connection.putrequest(request["method"], request["target"], skip_host=not request["host"], skip_accept_encoding=True)
        for name, value in request["headers"].items():
            connection.putheader(name, value)
        if request["body"] is not None:
            connection.putheader("Content-Length", str(len(request["body"])))
        connection.endheaders(request["body"])
        answer = connection.getresponse()
        version = {10: "1.0", 11: "1.1"}[answer.version]
        return {
            "version": version,
            "status": answer.status,
            "phrase": answer.reason,
            "headers": answer.getheaders(),
            "body": answer.read().decode("latin-1"),
        }
    finally:
        connection.close()


def httplint(port):
    """Errors of every maker: no BAD and no WARN without a reason."""
    answers = {}
    for name, status, request in ERRORS:
        answer = _ask(port, request)
        if answer["status"] == status:
            answers[name] = {"name": name, **answer}
    for name, status, _ in ERRORS:
        if name not in answers:
            raise Failure(f"{name}: no {status} came")
    read = subprocess.run(
        [str(JUDGES.python()), str(FOLDER / "lint.py")],
        input="".join(json.dumps(answer) + "\n" for answer in answers.values()),
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    if read.returncode:
        raise Failure("httplint finds fault with errors; see above")


def _patient():
    """The overlay that gives clients without a plan room for more requests than a person sends."""
    settings = {"tiers": {"anonymous": {"limits": [{"name": "minute", "count": 6000}]}}}
    plugin = {"name": "rate-limit", "typed_config": {"config": {"configuration": {"value": settings}}}}
    manager = {"name": "envoy.filters.network.http_connection_manager", "typed_config": {"http_filters": [plugin]}}
    edge = {"name": "edge", "filter_chains": [{"name": "tls", "filters": [manager]}]}
    return {"static_resources": {"listeners": [edge]}}


def judge(folder):
    """Both, on what `make run` starts."""
    chosen = demo.free_ports()
    with demo.running(chosen, folder, show=False, overlay=_patient()):
        httplint(chosen["PORT"])
        schemathesis(chosen["PORT"])
