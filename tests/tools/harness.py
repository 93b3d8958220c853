"""What must hold of the running harness, asked through its published ports."""

import json
import os
import re
import secrets
import ssl
import subprocess
import time
import urllib.error
import urllib.request

import engine
import project
from console import Failure, run, say

# Variable and default of each published port, as in envoy/docker-compose.yaml.
PORTS = {
    "http": ("HTTP_PORT", 10000),
    "https": ("HTTPS_PORT", 10443),
    "metrics": ("METRICS_PORT", 9902),
    "prometheus": ("PROMETHEUS_PORT", 9090),
    "alertmanager": ("ALERTMANAGER_PORT", 9093),
    "grafana": ("GRAFANA_PORT", 3000),
}
CERTIFICATE = project.ROOT / "tests" / "artifacts" / "compose-tls.crt"
# Longer than two scrapes.
DEADLINE = 60


def port(name):
    variable, default = PORTS[name]
    return int(os.environ.get(variable) or default)


def build():
    """Builds what runs the scenarios; gives its path."""
    # With the whole workspace's features, so that what `make test` built is not built again.
    run(["cargo", "build", *project.LOCKED, "--workspace", "--bin", "harness-scenarios"], cwd=project.ROOT)
    return project.TARGET / "debug" / "harness-scenarios"


def until(what, ask):
    """What `ask` gives as soon as it gives anything."""
    deadline = time.monotonic() + DEADLINE
    while True:
        if found := ask():
            return found
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {DEADLINE} s")
        time.sleep(0.2)


def get(url, context=None):
    """(status, headers, body) of any answer."""
    try:
        with urllib.request.urlopen(url, timeout=10, context=context) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()
    except OSError as error:
        raise Failure(f"{url}: no answer ({error})") from None


def asked(service, path):
    """What an API of Prometheus' kind answers."""
    status, _, body = get(f"http://127.0.0.1:{port(service)}{path}")
    if status != 200:
        raise Failure(f"{service} answers {path} with {status}: {body[:200]}")
    return json.loads(body)


def guarded(containers):
    """No container can do more than its service needs."""
    for service, container in sorted(containers.items()):
        host, config = container["HostConfig"], container["Config"]
        demands = {
            "has a root file system that can be written": host["ReadonlyRootfs"],
            "runs as root": config["User"].split(":")[0] not in ("", "0", "root"),
            "has capabilities": host["CapDrop"] == ["ALL"] and not host["CapAdd"],
            "can gain privileges": any(option.startswith("no-new-privileges") for option in host["SecurityOpt"] or []),
            "is privileged": not host["Privileged"],
            "has no limit of memory": host["Memory"] > 0,
            "has no limit of CPU": host["NanoCpus"] > 0,
            "has no limit of processes": (host["PidsLimit"] or 0) > 0,
            "publishes a port beyond the loopback": all(b["HostIp"] == "127.0.0.1" for many in (host["PortBindings"] or {}).values() for b in many),
        }
        for fault, good in demands.items():
            if not good:
                raise Failure(f"{service} {fault}")
    say(f"    {len(containers)} containers: read-only, not root, no capabilities, limits, loopback only")


def certificate(containers):
    """The certificate that Envoy shows, out of its container."""
    CERTIFICATE.parent.mkdir(parents=True, exist_ok=True)
    CERTIFICATE.unlink(missing_ok=True)
    engine.quietly("cp", f"{containers['envoy']['Id']}:/etc/portcullis/certs/tls.crt", str(CERTIFICATE))
    return CERTIFICATE


def scenarios(runner):
    """The files of tests/scenarios that are for the harness."""
    ports = {f"HARNESS_{name.upper()}": str(port(name)) for name in ("http", "https", "metrics")}
    done = subprocess.run([runner], env={**os.environ, **ports, "HARNESS_CERTIFICATE": str(CERTIFICATE)}, cwd=project.ROOT, stdout=subprocess.PIPE, text=True)
    print(done.stdout, end="", flush=True)
    if done.returncode:
        raise Failure("scenarios failed")
    passed = re.search(r"(\d+) passed", done.stdout)
    if not passed or not int(passed.group(1)):
        raise Failure("no scenario ran")
    return int(passed.group(1))


def scraped():
    """Prometheus scrapes Envoy, evaluates the rules and knows the Alertmanager."""
    def targets():
        active = asked("prometheus", "/api/v1/targets?state=active")["data"]["activeTargets"]
        return active if active and all(target["health"] == "up" for target in active) else None
    try:
        up = until("every target of Prometheus up", targets)
    except Failure:
        for target in asked("prometheus", "/api/v1/targets?state=active")["data"]["activeTargets"]:
            say(f"    {target['scrapePool']}: {target['health']} {target['lastError']}")
        raise
    if "envoy" not in {target["labels"]["job"] for target in up}:
        raise Failure("Prometheus has no job `envoy`")
    say(f"    targets up: {', '.join(sorted(target['scrapePool'] for target in up))}")

    value = lambda: asked("prometheus", "/api/v1/query?query=sum(portcullis_rate_limit_allowed_total)")["data"]["result"]
    counted = until("a metric of the filters in Prometheus", value)
    say(f"    portcullis_rate_limit_allowed_total is {counted[0]['value'][1]}")

    def evaluated():
        groups = asked("prometheus", "/api/v1/rules")["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return rules if rules and all(rule["health"] != "unknown" for rule in rules) else None
    rules = until("every rule evaluated", evaluated)
    bad = [f"{rule['name']}: {rule.get('lastError')}" for rule in rules if rule["health"] != "ok"]
    if bad:
        raise Failure(f"rules fail: {'; '.join(bad)}")
    say(f"    {len(rules)} rules evaluated")

    known = until("an Alertmanager that Prometheus knows", lambda: asked("prometheus", "/api/v1/alertmanagers")["data"]["activeAlertmanagers"])
    status = asked("alertmanager", "/api/v2/status")
    say(f"    {known[0]['url']}, version {status['versionInfo']['version']}")


def collected(containers):
    """The span and the audit record of one request arrive at the collector."""
    context = ssl.create_default_context(cafile=str(CERTIFICATE))
    # Every request that fails is traced, whatever the sampling.
    status, headers, _ = get(f"https://localhost:{port('https')}/status/500", context)
    request_id = headers["x-request-id"]
    if status != 500 or not request_id:
        raise Failure(f"/status/500 answers {status} with the request id {request_id}")

    def records(kind, mark):
        """Those of the collector's log that hold the mark."""
        log = engine.logs(containers["otel-collector"]["Id"])
        cut = re.split(r"^(?=.*\b(?:Span|LogRecord) #\d+)", log, flags=re.M)
        return [record for record in cut if kind in record.partition("\n")[0] and mark in record]
    (record, *_) = until(f"the audit record of request {request_id} in the collector's log", lambda: records("LogRecord #", request_id))
    trace = re.search(r'"trace_id":"([0-9a-f]{32})"', record)
    if not trace:
        raise Failure(f"the audit record names no trace:\n{record}")
    until(f"the span of trace {trace.group(1)} in the collector's log", lambda: records("Span #", trace.group(1)))
    say(f"    request {request_id}: its audit record, and its span of trace {trace.group(1)}")


def told(containers):
    """An alert of each severity, and one of none, comes from Alertmanager to the receiver of its name."""
    mark = secrets.token_hex(4)
    wanted = {"critical": "critical", "warning": "warning", "info": "info", "": "unrouted"}
    # Active until the test is long over, and not for ever.
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2 * DEADLINE))
    alerts = [
        {"labels": {"alertname": f"ComposeTest{mark}", "severity": severity}, "annotations": {"summary": f"{mark} for {receiver}"}, "endsAt": ends}
        for severity, receiver in wanted.items()
    ]
    post = urllib.request.Request(f"http://127.0.0.1:{port('alertmanager')}/api/v2/alerts", json.dumps(alerts).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(post, timeout=10):
        pass
    lines = lambda: [line for line in engine.logs(containers["alert-receiver"]["Id"]).splitlines() if mark in line]
    # The longest `group_wait` is half a minute.
    heard = until(f"four alerts {mark} in the receiver's log", lambda: len(lines()) == len(wanted) and lines())
    for receiver in wanted.values():
        if not any(line.startswith(f"{receiver}: firing ComposeTest{mark}: {mark} for {receiver} ") for line in heard):
            raise Failure(f"the alert for `{receiver}` came elsewhere: {heard}")
    say(f"    alerts arrived at {', '.join(wanted.values())}")


def stored(containers):
    """Redis keeps what it is given."""
    value = secrets.token_hex(8)
    ask = lambda *command: subprocess.run(engine.docker("exec", containers["redis"]["Id"], "redis-cli", "-e", *command), capture_output=True, text=True).stdout.strip()
    if ask("SET", "portcullis:test", value, "EX", "60") != "OK" or ask("GET", "portcullis:test") != value:
        raise Failure("redis does not give back what it was given")
    say(f"    redis {re.search('redis_version:(.*)', ask('INFO', 'server')).group(1).strip()} keeps what it is given")


def dashboards():
    """Grafana has the dashboard, and a data source that answers."""
    found = asked("grafana", "/api/search?type=dash-db")
    if not found:
        raise Failure("Grafana has no dashboard")
    health = asked("grafana", "/api/datasources/uid/prometheus/health")
    if health.get("status") != "OK":
        raise Failure(f"Grafana's data source: {health}")
    say(f"    {', '.join(board['title'] for board in found)}; the data source answers")


def steady(containers, now):
    """No container was started anew or ended on the way."""
    for service, container in containers.items():
        after = now.get(service)
        if after is None or after["State"]["StartedAt"] != container["State"]["StartedAt"] or after["State"]["Status"] != container["State"]["Status"]:
            raise Failure(f"{service} ended during the tests")


def tests(command, containers, runner, wanted):
    with command.stage("containers are guarded"):
        guarded(containers)
    with command.stage("scenarios through the published ports"):
        certificate(containers)
        passed = scenarios(runner)
    with command.stage("spans and audit records arrive"):
        collected(containers)
    with command.stage("redis answers"):
        stored(containers)
    with command.stage("Prometheus and Alertmanager"):
        scraped()
    with command.stage("alerts arrive"):
        told(containers)
    if "grafana" in wanted:
        with command.stage("Grafana"):
            dashboards()
    else:
        say("    Grafana is skipped: its profile is off (GRAFANA=1 make compose-up turns it on; it needs a registry)")
    return f"{len(containers)} services healthy, {passed} scenarios passed, metrics scraped, spans and records collected, alerts told"
