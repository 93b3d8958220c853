"""What stands in envoy/monitoring and in the pages of docs/: rules, cases, panels, metrics, runbooks."""

import json
import re

import project
from console import Failure, run
from watching import promql
from watching.programs import program

FOLDER = project.ROOT / "envoy" / "monitoring"
RULES = sorted(FOLDER.glob("rules/*.yaml"))
CASES = sorted(FOLDER.glob("tests/*.yaml"))
DASHBOARDS = sorted(FOLDER.glob("grafana/dashboards/*.json"))
RUNBOOKS = project.ROOT / "docs" / "runbooks.md"
# Where the published page of the runbooks is. All alerts link there.
RUNBOOK_URL = "https://github.com/portcullis-filters/portcullis/blob/main/docs/runbooks.md"
SEVERITIES = ["critical", "warning", "info"]
# What each section of the runbooks has.
PARTS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
# What Prometheus makes itself.
OF_PROMETHEUS = {"up", "ALERTS"}
# Values for Grafana's variables, where an expression is only read.
VARIABLES = {"$__rate_interval": "1m", "$job": ".+", "$instance": ".+"}


def with_variables(expression, values=None):
    for name, value in {**VARIABLES, **(values or {})}.items():
        expression = expression.replace(name, value)
    if "$" in expression:
        raise Failure(f"a dashboard uses a variable that is not among {', '.join(VARIABLES)}: {expression}")
    return expression


def panels():
    """[(panel's title, expression, labels that its legend shows)] of all dashboards."""
    found = []
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", []):
                found.append((panel["title"], target["expr"], set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))))
    return found


def cases():
    """{alert: {"fires": [(metrics, labels of what fires)], "silent": […]}}: each case of the files for promtool.

    They are read line by line, in the one form in which they are written."""
    found = {}
    for file in CASES:
        for case in re.split(r"^  - name: ", file.read_text(), flags=re.M)[1:]:
            alert = re.search(r'expr: ALERTS\{alertname="(\w+)", alertstate="firing"\}', case)
            if not alert:
                raise Failure(f"{project.relative(file)}: a case asks for no alert: {case.splitlines()[0]}")
            kind = "silent" if "exp_samples: []" in case else "fires"
            series = {re.match(r"[\w:]+", name)[0] for name in re.findall(r"- \{ series: '([^']+)'", case)}
            labels = re.findall(r"(\w+)=", "".join(re.findall(r"labels: 'ALERTS\{(.*?)\}'", case)))
            found.setdefault(alert[1], {"fires": [], "silent": []})[kind].append((series, set(labels)))
    return found


def sections():
    """{alert: (anchor, text)} of the runbooks."""
    text = RUNBOOKS.read_text()
    parts = re.split(r"^## (.+)$", text, flags=re.M)
    # As the forge makes anchors of headings.
    anchor = lambda title: re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
    return {title.strip(): (anchor(title.strip()), body) for title, body in zip(parts[1::2], parts[2::2])}


def documented():
    """{metric: page} of the tables below `## Metrics` in docs/."""
    found = {}
    for page in sorted(project.ROOT.glob("docs/*.md")):
        table = re.search(r"^## Metrics$(.*?)(?=^## |\Z)", page.read_text(), re.M | re.S)
        for row in re.findall(r"^\| (`.*?) \|", table[1] if table else "", re.M):
            names = re.findall(r"`([^`]+)`", row)
            for name in names:
                # `…_records_retries_total` shares its beginning with the first name of its row.
                if name.startswith("…"):
                    prefix = re.match(r"(portcullis_.*?)(?=_records_|_spans_)", names[0])
                    name = prefix[1] + name.removeprefix("…")
                found[name] = page.name
    if not found:
        raise Failure("docs/*.md have no table of metrics")
    return found


def records(rules):
    """{recorded name: expression}"""
    return {rule["name"]: rule["query"] for rule in rules if rule["type"] == "recording"}


def raw_metrics(expression, recorded):
    """The scraped metrics behind an expression."""
    found = set()
    for name in promql.metrics(expression):
        found |= raw_metrics(recorded[name], recorded) if name in recorded else {name}
    return found - OF_PROMETHEUS


def named(rules):
    """The scraped metrics that rules and panels name: {metric: who}."""
    recorded = records(rules)
    found = {}
    for rule in rules:
        for metric in raw_metrics(rule["query"], recorded):
            found.setdefault(metric, rule["name"])
    for title, expression, _ in panels():
        for metric in raw_metrics(with_variables(expression), recorded):
            found.setdefault(metric, f"the panel '{title}'")
    return found


def promtool(*arguments, hint=None):
    run([program("promtool"), *arguments], cwd=FOLDER, quiet=True, hint=hint)
