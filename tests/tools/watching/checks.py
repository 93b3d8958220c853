"""What can be said of envoy/monitoring without a proxy."""

import json
import re
import subprocess

import demo
import project
from console import Failure, output, run
from watching import catalogue, promql
from watching.catalogue import FOLDER
from watching.programs import program

# Metrics that no alert and no panel needs, and why. Each stands in docs/ all the same.
DOCUMENTED_ONLY = {}


def complain(what, mistakes):
    if mistakes:
        raise Failure(f"{what}: " + "; ".join(sorted(mistakes)))


def syntax():
    """Prometheus, Alertmanager and Grafana can read it."""
    catalogue.promtool("check", "config", "prometheus.yaml")
    catalogue.promtool("check", "rules", "--lint=all", "--lint-fatal", *catalogue.RULES)
    run([program("amtool"), "check-config", FOLDER / "alertmanager.yaml"], cwd=FOLDER, quiet=True)
    run(["python3", FOLDER / "grafana" / "dashboard.py", "--check"], quiet=True)
    # A panel's expressions as rules, because promtool reads no others.
    rules = [
        {"record": f"panel:expression:{number}", "expr": catalogue.with_variables(expression)}
        for number, (_, expression, _) in enumerate(catalogue.panels())
    ]
    demo.RUN.mkdir(parents=True, exist_ok=True)
    copy = demo.RUN / "panels.json"
    copy.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    catalogue.promtool("check", "rules", "--lint=none", copy, hint=f"the panels are {project.relative(copy)}, in their order")
    return len(rules)


def cases():
    """promtool runs every case, and every alert has one that fires and one that is silent about the same metrics."""
    # Each file by itself, so that what it says is its own; two at once.
    running = []
    for file in catalogue.CASES:
        command = [program("promtool"), "test", "rules", file]
        running.append((file, subprocess.Popen(command, cwd=FOLDER, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)))
    failed = []
    for file, process in running:
        said, _ = process.communicate()
        if process.returncode:
            print(said)
            failed.append(project.relative(file))
    complain("cases fail", failed)


def alerts(rules):
    """Labels, texts, cases and runbooks of every alert."""
    recorded = catalogue.records(rules)
    cases, sections = catalogue.cases(), catalogue.sections()
    mistakes = []
    found = [rule for rule in rules if rule["type"] == "alerting"]
    names = [rule["name"] for rule in found]
    mistakes += [f"{name} stands there twice" for name in set(names) if names.count(name) > 1]
    for rule in found:
        name, say = rule["name"], lambda text: mistakes.append(f"{rule['name']} {text}")
        if rule["labels"].get("severity") not in catalogue.SEVERITIES:
            say(f"has no severity of {', '.join(catalogue.SEVERITIES)}")
        for annotation in ("summary", "description"):
            if not rule["annotations"].get(annotation, "").strip():
                say(f"has no {annotation}")
        anchor, section = sections.get(name, (None, ""))
        if anchor is None or rule["annotations"].get("runbook_url") != f"{catalogue.RUNBOOK_URL}#{anchor}":
            say(f"has no `## {name}` in docs/runbooks.md, or its runbook_url is not {catalogue.RUNBOOK_URL}#{name.lower()}")
        for part in catalogue.PARTS:
            if f"**{part}.**" not in section:
                say(f"lacks `**{part}.**` in its section of docs/runbooks.md")
        needed = catalogue.raw_metrics(rule["query"], recorded) | promql.metrics(rule["query"]) & catalogue.OF_PROMETHEUS
        for kind, text in (("fires", "fires"), ("silent", "is silent")):
            series = cases.get(name, {}).get(kind, [])
            if not series:
                say(f"has no case in envoy/monitoring/tests in which it {text}")
            # Silence without data shows nothing. An alert on one of many has them all in at least one case.
            elif not any(needed <= metrics for metrics, _ in series):
                say(f"has no case in which it {text} with all its metrics ({', '.join(sorted(needed))})")
        # A label that is not there would leave a hole in the text.
        told = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        if not any(told <= labels for _, labels in cases.get(name, {}).get("fires", [])):
            say(f"has texts with the labels {', '.join(sorted(told))}, and no case in which it fires with them")
    inhibited = set(re.findall(r'alertname!?="(\w+)"', (FOLDER / "alertmanager.yaml").read_text()))
    mistakes += [f"{name} is in alertmanager.yaml and no alert" for name in inhibited - set(names)]
    mistakes += [f"{name} is in docs/runbooks.md and no alert" for name in sections if name not in names]
    mistakes += [f"{name} has cases and is no alert" for name in cases if name not in names]
    complain("alerts", mistakes)
    return len(found)


def routes():
    """Each severity comes to the receiver of its name, and what has none to a receiver of its own."""
    mistakes = []
    for severity, receiver in [*((severity, severity) for severity in catalogue.SEVERITIES), ("another", "unrouted"), (None, "unrouted")]:
        labels = [f"severity={severity}"] if severity else ["alertname=Any"]
        command = [program("amtool"), "config", "routes", "test", f"--config.file={FOLDER / 'alertmanager.yaml'}"]
        command += [f"--verify.receivers={receiver}", *labels]
        if output(command) is None:
            mistakes.append(f"{labels[0]} does not come to {receiver}")
    complain("Alertmanager's routes", mistakes)


def metrics(rules):
    """What rules and panels name of ours stands in docs/, and what stands there is used."""
    named, documented = catalogue.named(rules), catalogue.documented()
    ours = {metric for metric in named if metric.startswith("portcullis_")}
    complain("not in docs/*.md, under Metrics", [f"{metric}, which {named[metric]} names" for metric in ours - set(documented)])
    unused = set(documented) - ours - set(DOCUMENTED_ONLY)
    complain("in no rule and no panel; use it, or say why not in DOCUMENTED_ONLY", [f"{metric} of {documented[metric]}" for metric in unused])
    complain("DOCUMENTED_ONLY, and used or not in docs/", [metric for metric in DOCUMENTED_ONLY if metric in ours or metric not in documented])
    return len(documented)
