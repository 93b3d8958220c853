"""A proxy under traffic, watched by a real Prometheus and Alertmanager: what is named is there, panels have data, alerts arrive."""

import contextlib
import math
import os
import re
import shlex
import subprocess

import demo
import project
from console import Failure, say
from watching import catalogue, promql
from watching.edge import Edge
from watching.programs import Alertmanager, Prometheus, Receiver, free_port, until
from watching.traffic import Clients

# The rules run in a copy in which every range and every `for` is so many times shorter: five minutes are five seconds. That the
# long ones do what they should is for promtool's cases, on the rules as they are.
TIMES_FASTER = 60
SECONDS = 60
# The panel whose data are alerts that fire.
OF_ALERTS = "Alerts"


def _copies(edge, prometheus_copy, alertmanager_port, receiver_port):
    """The shipped files for the ports of this machine, and faster. Gives those of Prometheus and Alertmanager."""
    folder = demo.RUN / "monitoring"
    (folder / "rules").mkdir(parents=True, exist_ok=True)
    for file in catalogue.RULES:
        (folder / "rules" / file.name).write_text(promql.faster(file.read_text(), TIMES_FASTER))

    def replaced(name, *changes):
        text = (catalogue.FOLDER / name).read_text()
        for pattern, by in changes:
            text, found = re.subn(pattern, by, text)
            if not found:
                raise Failure(f"envoy/monitoring/{name} has nothing like `{pattern}`")
        (folder / name).write_text(text)
        return folder / name

    return (
        replaced(
            "prometheus.yaml",
            (r"(_interval:) 15s", r"\1 500ms"),
            (r'"envoy:9902"', f'"127.0.0.1:{edge.ports["metrics"]}"'),
            (r'"alertmanager:9093"', f'"127.0.0.1:{alertmanager_port}"'),
            (r'"localhost:9090"', f'"127.0.0.1:{prometheus_copy}"'),
        ),
        replaced(
            "alertmanager.yaml",
            (r"(group_wait|group_interval): \d+[sm]", r"\1: 1s"),
            (r"http://alert-receiver:9095", f"http://127.0.0.1:{receiver_port}"),
        ),
    )


@contextlib.contextmanager
def watched(programs):
    """(edge, clients, prometheus, receiver), all running."""
    with contextlib.ExitStack() as stack:
        def started(thing):
            stack.callback(thing.stop)
            return thing

        receiver = started(Receiver())
        edge = started(Edge(programs))
        alertmanager_port, prometheus_port = free_port(), free_port()
        for_prometheus, for_alertmanager = _copies(edge, prometheus_port, alertmanager_port, receiver.port)
        started(Alertmanager(for_alertmanager, alertmanager_port))
        prometheus = started(Prometheus(for_prometheus, prometheus_port))
        clients = started(Clients(edge.ports["edge"]))
        yield edge, clients, prometheus, receiver


def names_exist(edge, rules):
    """Every metric that is named is exported, and every one of ours that is exported stands in docs/."""
    scraped = {re.match(r"[\w:]+", line)[0] for line in edge.scrape().splitlines() if line and not line.startswith("#")}
    documented = catalogue.documented()
    # Only there where all filters are one plugin.
    elsewhere = {"portcullis_portcullis_host_refusals_total"}
    missing = {metric: who for metric, who in catalogue.named(rules).items() if metric not in scraped | elsewhere}
    if missing:
        raise Failure("Envoy exports no " + "; no ".join(f"{metric}, which {who} names" for metric, who in sorted(missing.items())))
    ours = {name for name in scraped if name.startswith("portcullis_")}
    if strangers := ours - set(documented):
        raise Failure(f"exported, and in no table of docs/*.md under Metrics: {', '.join(sorted(strangers))}")
    if labelled := {name for name in ours if "=" in name}:
        raise Failure(f"labels that stats_config does not know: {labelled}")
    if ghosts := set(documented) - ours - elsewhere:
        raise Failure(f"in docs/*.md under Metrics, and not exported: {', '.join(sorted(ghosts))}")
    return len(scraped), len(ours)


def panels_have_data(edge, prometheus, alerts):
    """Every expression of the dashboard gives numbers with the labels of its legend: those of alerts, or all others."""
    values = {"$__rate_interval": "10s"}
    wanted = [panel for panel in catalogue.panels() if (panel[0] == OF_ALERTS) == alerts]

    def has_data(panel):
        _, expression, shown = panel
        samples = prometheus.query(catalogue.with_variables(expression, values))
        return any(not math.isnan(value) and shown <= set(labels) for labels, value in samples)

    def all_have():
        wanted[:] = [panel for panel in wanted if not has_data(panel)]
        return not wanted

    number = len(wanted)
    try:
        until("data", SECONDS, all_have, edge.envoy, prometheus.server)
    except Failure:
        missing = "; ".join(f"'{title}' with {', '.join(sorted(shown)) or 'no label'}: {expr}" for title, expr, shown in wanted)
        raise Failure(f"panels without data: {missing}") from None
    return number


def _arrives(receiver, prometheus, name, status, how_many=1):
    def look():
        return len(receiver.alerts(name, status)) >= how_many

    try:
        until(name, SECONDS, look)
    except Failure:
        state = [labels for labels, _ in prometheus.query(f'ALERTS{{alertname="{name}"}}')]
        raise Failure(f"{name} did not arrive as {status} within {SECONDS} s; Prometheus says {state or 'that it is not active'}") from None
    return receiver.alerts(name, status)


def failures_are_told(edge, clients, prometheus, receiver):
    """A tenth of the requests fails, and no sink takes records: the alerts come to their receivers, with their texts, and say
    so when it is over."""
    for name in ("HighErrorRatio", "AuditSinkDown"):
        if early := receiver.alerts(name, "firing"):
            raise Failure(f"{name} fired before anything failed: {early}")
    clients.failing = 10
    edge.sink.down = True
    to, _, labels, annotations = _arrives(receiver, prometheus, "HighErrorRatio", "firing")[0]
    if to != "critical" or labels["severity"] != "critical" or not re.fullmatch(r"\d+(\.\d+)?% of requests to envoy fail", annotations["summary"]):
        raise Failure(f"HighErrorRatio came to `{to}` as {labels} {annotations}")
    say(f"    told to `{to}`: {annotations['summary']}")
    panels_have_data(edge, prometheus, alerts=True)
    # One for each of the two sinks.
    _arrives(receiver, prometheus, "AuditSinkDown", "firing", 2)
    clients.failing = 0
    edge.sink.down = False
    _arrives(receiver, prometheus, "HighErrorRatio", "resolved")
    _arrives(receiver, prometheus, "AuditSinkDown", "resolved", 2)


def mistakes_are_told(edge, prometheus, receiver):
    """Each kind of settings that Envoy refuses is told."""
    edge.give_mistakes()
    wanted = {*edge.KINDS, *edge.SHIPPED}

    def kinds():
        return {labels["what"] for labels, value in prometheus.query("job_instance_what:portcullis_settings_rejected:increase15m > 0")}

    until(f"the rejection of {', '.join(sorted(wanted))}", SECONDS, lambda: kinds() >= wanted, edge.envoy)
    to = _arrives(receiver, prometheus, "SettingsRejected", "firing", len(wanted))[0][0]
    if to != "warning":
        raise Failure(f"SettingsRejected came to `{to}`")


def texts_are_whole(receiver):
    """No text that arrived has a hole where a template found nothing."""
    for _, _, labels, annotations in receiver.heard:
        for text in annotations.values():
            if "<no value>" in text or "<error" in text or "{{" in text:
                raise Failure(f"{labels['alertname']} says: {text}")
    return sorted({alert[2]["alertname"] for alert in receiver.heard})


def runbooks_work(edge, prometheus):
    """Every command of the runbooks runs, and ends well."""
    environment = {
        **os.environ,
        "PROM": f"http://127.0.0.1:{prometheus.port}",
        "ADMIN": f"http://127.0.0.1:{edge.ports['admin']}",
        "LOG": shlex.quote(str(edge.log())),
    }
    commands = sorted(set(re.findall(r"^\$ (.*)$", catalogue.RUNBOOKS.read_text(), re.M)))
    for command in commands:
        # What is not there has to be a failure.
        told = command.replace("curl -s ", "curl --fail --silent --show-error ")
        done = subprocess.run(["bash", "-c", told], env=environment, capture_output=True, text=True, timeout=30)
        if done.returncode or done.stderr.strip():
            raise Failure(f"docs/runbooks.md: `{command}` ended with {done.returncode}: {done.stderr.strip()}")
    if not commands:
        raise Failure(f"{project.relative(catalogue.RUNBOOKS)} has no command")
    return len(commands)
