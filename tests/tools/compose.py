"""`make compose-up`, `make compose-test`, `make compose-down`: the harness of envoy/docker-compose.yaml, tried and ended."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import engine
import harness
import images
import project
import setup
from console import Command, Failure, run, say

READY_SECONDS = 180
LOGS = project.ROOT / "tests" / "artifacts" / "compose"
# Lines of a service's log that a failure shows.
SHOWN = 15
# Without monitoring's files, modules and certificate there is nothing to mount.
NEEDED = ["dist/portcullis.wasm", "envoy/monitoring/prometheus.yaml", "envoy/monitoring/alertmanager.yaml"]


def profiles():
    """`--profile grafana` if it is asked for by GRAFANA=1."""
    return ["--profile", "grafana"] if os.environ.get("GRAFANA") not in (None, "", "0") else []


def containers():
    """Service → what the engine knows of its container, ended ones included."""
    done = subprocess.run(engine.docker("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={engine.project_name()}"), capture_output=True, text=True)
    ids = done.stdout.split()
    found = engine.inspect(*ids) if ids else []
    return {container["Config"]["Labels"]["com.docker.compose.service"]: container for container in found or []}


def state(container):
    """healthy, ended, or what is wrong; None while that is not yet known."""
    now = container["State"]
    if now["Status"] in ("exited", "dead"):
        return "ended" if now["ExitCode"] == 0 else f"ended with {now['ExitCode']}" + (", out of memory" if now["OOMKilled"] else "")
    health = (now.get("Health") or {}).get("Status")
    if health == "unhealthy":
        last = (now["Health"].get("Log") or [{}])[-1].get("Output", "").strip()
        return f"is unhealthy: {last}"
    return "healthy" if health == "healthy" else None


ONCE = {"tools", "certificate"}


def wanted_state(service):
    return "ended" if service in ONCE else "healthy"


def wrong(found):
    """The services that can no longer become what they should be."""
    return {service: said for service, container in found.items() if (said := state(container)) not in (None, wanted_state(service))}


def keep_logs(found):
    """Every service's log as a file, before the containers go."""
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True, exist_ok=True)
    for service, container in found.items():
        (LOGS / f"{service}.log").write_text(engine.logs(container["Id"]))
    return project.relative(LOGS)


def show(found, services):
    for service in services:
        for line in engine.logs(found[service]["Id"], SHOWN).splitlines():
            say(f"    {service}: {line}")


def services():
    """The services that `up` starts, by compose itself."""
    done = subprocess.run(engine.compose(*profiles(), "config", "--services"), capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"compose does not take envoy/docker-compose.yaml: {done.stderr.strip()}")
    # v1 lists those of profiles too.
    return [service for service in done.stdout.split() if service != "grafana" or profiles()]


def prepare(command):
    with command.stage("what the harness needs"):
        say(f"    Docker {engine.require()}")
        missing = [name for name in NEEDED if not (project.ROOT / name).exists()]
        if missing:
            raise Failure(f"{', '.join(missing)}: missing; run `make build`")
        wanted = services()
        named = {service: image for service, image in images.wanted().items() if service in wanted}
        there = engine.labels([*named.values(), images.ours()])
        absent = [image for image in [*named.values(), images.ours()] if image not in there]
        if absent:
            raise Failure(f"no image {', '.join(absent)}; run `make images`")
        for service, image in sorted(named.items()):
            if made_of := there[image].get(images.MADE_OF):
                say(f"    {service}: a stand-in for {image}: {made_of}")
    return wanted


def up(command, wanted):
    """From nothing to all services healthy. `up` itself waits for what others depend on; the rest is polled."""
    with command.stage("start"):
        try:
            run(engine.compose(*profiles(), "up", "--detach", "--remove-orphans", "--no-build"), quiet=True, stdin=subprocess.DEVNULL)
        except Failure as failure:
            # Compose says that a container failed; the container says why.
            raise Failure(_said(wrong(containers())) or failure) from None
    with command.stage("all services healthy"):
        deadline = time.monotonic() + READY_SECONDS
        while True:
            found = containers()
            failed = wrong(found)
            waiting = [service for service in wanted if service not in found or state(found[service]) is None]
            if failed:
                raise Failure(_said(failed))
            if not waiting:
                break
            if time.monotonic() > deadline:
                show(found, [service for service in waiting if service in found])
                raise Failure(f"not healthy within {READY_SECONDS} s: {', '.join(waiting)}")
            time.sleep(0.2)
        for service in sorted(found):
            say(f"    {service}: {state(found[service])}")


def _said(failed):
    return "; ".join(f"{service} {said}" for service, said in failed.items())


def down():
    """Containers, networks and volumes are gone after it, those of profiles too."""
    run(engine.compose("--profile", "grafana", "down", "--volumes", "--remove-orphans", "--timeout", "20"), quiet=True, stdin=subprocess.DEVNULL)


@contextlib.contextmanager
def cleaned_up():
    """What goes wrong within leaves logs behind and nothing that runs."""
    try:
        yield
    except BaseException as error:
        # A second Ctrl-C must not stop the cleaning.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        with contextlib.suppress(Exception):
            if isinstance(error, Failure):
                found = containers()
                show(found, wrong(found))
            say(f"    logs: {keep_logs(containers())}")
        try:
            down()
        except Failure as failure:
            say(f"    could not clean up: {failure}; run `make compose-down`")
        raise


def interruptible():
    """SIGTERM and SIGHUP end us as Ctrl-C does, in order; and Ctrl-C does in the background of a script too."""
    def interrupt(*_):
        raise KeyboardInterrupt
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


def running(wanted):
    found = containers()
    return bool(found) and all(service in found and state(found[service]) == wanted_state(service) for service in wanted)


def invitation():
    address = lambda service: f"http://localhost:{harness.port(service)}"
    grafana = f"\n  dashboards      {address('grafana')}" if profiles() else "\n  dashboards      GRAFANA=1 make compose-up (needs a registry)"
    say(f"""
The harness runs:
  the API         https://localhost:{harness.port('https')}    curl -ki https://localhost:{harness.port('https')}/json
  metrics         {address('metrics')}/stats/prometheus
  Prometheus      {address('prometheus')}
  Alertmanager    {address('alertmanager')}{grafana}
`make compose-test` tries it, `make compose-down` ends it.
""")


def start(command):
    wanted = prepare(command)
    with cleaned_up():
        up(command, wanted)
    invitation()
    return f"{len(wanted)} services run"


def test(command):
    wanted = prepare(command)
    with command.stage("the scenarios' runner"):
        setup.toolchain()
        runner = harness.build()
    was_running = running(wanted)
    say(f"    the harness {'runs already and stays' if was_running else 'is started, and ended after the tests'}")
    keep = contextlib.nullcontext() if was_running else cleaned_up()
    with keep:
        if not was_running:
            up(command, wanted)
        started = containers()
        tried = harness.tests(command, started, runner, wanted)
        harness.steady(started, containers())
        if not was_running:
            with command.stage("end"):
                keep_logs(containers())
                down()
                if containers():
                    raise Failure("containers are left")
    return f"{tried}"


def end(command):
    engine.require()
    with command.stage("end"):
        down()
    return "containers, networks and volumes are gone"


COMMANDS = {"up": start, "test": test, "down": end}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in COMMANDS:
        sys.exit(f"usage: compose.py {'|'.join(COMMANDS)}")
    interruptible()
    Command(f"compose-{sys.argv[1]}").run(COMMANDS[sys.argv[1]])
