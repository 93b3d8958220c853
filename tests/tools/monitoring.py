"""`make check-monitoring`: envoy/monitoring/ and docs/runbooks.md, by themselves and on a running proxy."""

import build
import demo
import setup
from console import Command, say
from watching import catalogue, checks, live
from watching.programs import Prometheus, free_port


def by_itself():
    """What needs no proxy."""
    say(f"    {checks.syntax()} expressions of panels, {len(catalogue.RULES)} files of rules: well-formed")
    checks.routes()
    say(f"    routes: {', '.join(catalogue.SEVERITIES)}, and the rest, come to their receivers")
    prometheus = Prometheus(catalogue.FOLDER / "prometheus.yaml", free_port())
    try:
        rules = prometheus.rules()
    finally:
        prometheus.stop()
    say(f"    {checks.alerts(rules)} alerts: severity, texts, runbook, a case that fires and one that is silent")
    say(f"    {checks.metrics(rules)} documented metrics are used, and those that are used are documented")
    checks.cases()
    say(f"    promtool: all cases of {len(catalogue.CASES)} files hold")


def under_traffic(programs):
    """What only a running proxy shows."""
    with live.watched(programs) as (edge, clients, prometheus, receiver):
        say(f"    {live.panels_have_data(edge, prometheus, alerts=False)} expressions of panels have data")
        exported, ours = live.names_exist(edge, prometheus.rules())
        say(f"    {exported} metrics are exported, {ours} of them ours: all that are named are among them")
        live.failures_are_told(edge, clients, prometheus, receiver)
        live.mistakes_are_told(edge, prometheus, receiver)
        say(f"    arrived and read well: {', '.join(live.texts_are_whole(receiver))}")
        say(f"    {live.runbooks_work(edge, prometheus)} commands of the runbooks work")
        say(f"    answers: {dict(sorted(clients.statuses.items()))}")


def stages(command, programs):
    with command.stage("monitoring: rules, cases, routes, dashboard, runbooks"):
        by_itself()
    with command.stage("monitoring: a watched proxy under traffic"):
        under_traffic(programs)


def main(command):
    with command.stage("set-up"):
        setup.require(*setup.FOR_MONITORING)
        setup.for_envoy()
    programs = build.programs(command)
    build.modules(command)
    stages(command, programs)
    return "envoy/monitoring holds"


if __name__ == "__main__":
    Command("check-monitoring").run(main)
