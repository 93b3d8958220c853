#!/usr/bin/env python3
"""Stops an Envoy without losing a record: `drain.py --admin HOST:PORT`. Needs Python 3.9 and nothing else.

1. Its health checks fail, so that load balancers turn away from it, and every answer ends its connection.
2. After --grace seconds it takes no new connections.
3. It waits until no request is on its way and nothing waits for a sink of audit-log or of request-tracing, and both stay
   so for --quiet seconds: workers tell of their queues four times a second.
4. It stops Envoy, unless --keep-running leaves that to whoever runs it: a preStop hook, for one.

At the --deadline it goes on with what it has. Interrupted in step 1 it takes that back; after step 2 there is no way back. Exit
status 0: nothing was on its way or waited; 1: something did, or still does, or it was interrupted; 2: the admin interface does not
answer, or tells of no requests, so that nobody could say whether any are on their way.
"""

import argparse
import contextlib
import http.client
import re
import signal
import sys
import time

POLL_SECONDS = 0.1
# What the admin interface calls the HTTP listeners' requests and connections, its own apart, and our queues.
REQUESTS = re.compile(r"^http\.(?!admin\.).*\.downstream_rq_active$")
CONNECTIONS = re.compile(r"^http\.(?!admin\.).*\.downstream_cx_active$")
COMPLETED = re.compile(r"^http\.(?!admin\.).*\.downstream_rq_total$")
QUEUED = re.compile(r"portcullis_\w+_(records|spans)_queued(\.|$)")
STATS = r"/stats?filter=%5Ehttp%5C..*%5C.downstream_(rq_active|cx_active|rq_total)$%7Cportcullis_.*_queued"


class Unreachable(Exception):
    pass


class Interrupted(Exception):
    pass


class Admin:
    def __init__(self, address):
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise Unreachable(f"--admin {address}: write HOST:PORT, such as 127.0.0.1:9901")
        self.address, self.host, self.port = address, host.strip("[]"), int(port)

    def ask(self, method, path):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{self.address} does not answer ({error}); is it the admin interface of a running Envoy?") from None
        finally:
            connection.close()
        if answer.status != 200:
            raise Unreachable(f"{self.address} answers {answer.status} to {method} {path}: {text.strip()[:200]}")
        return text

    def stats(self):
        lines = (line.rpartition(": ") for line in self.ask("GET", STATS).splitlines())
        return {name: int(value) for name, _, value in lines if value.isdigit()}

    def must_count_requests(self):
        """What is not counted looks like what is not there."""
        if not any(REQUESTS.search(name) for name in self.stats()):
            raise Unreachable(f"{self.address} tells of no requests: does stats_config keep http.*.downstream_rq_active from being counted?")


class State:
    """How much is on its way, and how much waits."""

    def __init__(self, stats):
        def total(pattern):
            return sum(value for name, value in stats.items() if pattern.search(name))

        self.requests, self.connections = total(REQUESTS), total(CONNECTIONS)
        self.ever, self.queued = total(COMPLETED), total(QUEUED)

    def is_empty(self):
        return self.requests == 0 and self.queued == 0

    def __str__(self):
        return f"{self.requests} requests on their way, {self.queued} records and spans wait"


def wait(admin, deadline, quiet):
    """Waits until all is empty and stays so; the last state, and whether it is."""
    empty_since = ever = None
    told = ""
    while True:
        state, now = State(admin.stats()), time.monotonic()
        if not state.is_empty() or state.ever != ever:
            empty_since, ever = None, state.ever
        if state.is_empty():
            empty_since = empty_since or now
            if now - empty_since >= quiet:
                return state, True
        if now >= deadline:
            return state, False
        if str(state) != told and not state.is_empty():
            told = str(state)
            say(told)
        time.sleep(POLL_SECONDS)


def say(text):
    # Whoever read this may be gone; what was begun has to be ended.
    with contextlib.suppress(OSError):
        print(f"drain: {text}", flush=True)


def drain(admin, chosen):
    """The last state, and whether it is empty."""
    deadline = time.monotonic() + chosen.deadline
    admin.must_count_requests()
    before = State(admin.stats())
    try:
        admin.ask("POST", "/healthcheck/fail")
        say(f"health checks fail; {before}")
        time.sleep(max(0, min(chosen.grace, deadline - time.monotonic())))
    except Interrupted:
        admin.ask("POST", "/healthcheck/ok")
        say("interrupted: health checks are as before, and it serves on")
        raise
    admin.ask("POST", "/drain_listeners")
    try:
        say("no new connections")
        ended = wait(admin, deadline, chosen.quiet)
    except Interrupted:
        say("interrupted: it takes no new connections, and runs on; run this again to stop it in order")
        raise
    if not chosen.keep_running:
        admin.ask("POST", "/quitquitquit")
    return ended


def interrupted(*_):
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise Interrupted


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def read_options():
    summary, _, rest = __doc__.partition("\n")
    parser = argparse.ArgumentParser(description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--admin", required=True, metavar="HOST:PORT", help="the admin interface")
    parser.add_argument("--grace", type=float, default=5, metavar="SECONDS", help="how long load balancers get to turn away (5)")
    parser.add_argument("--quiet", type=float, default=1.5, metavar="SECONDS", help="how long nothing must happen (1.5)")
    parser.add_argument("--deadline", type=float, default=60, metavar="SECONDS", help="how long all of it may take (60)")
    parser.add_argument("--keep-running", action="store_true", help="do not stop Envoy")
    return parser.parse_args()


def main():
    chosen = read_options()
    for number in SIGNALS:
        signal.signal(number, interrupted)
    try:
        state, is_empty = drain(Admin(chosen.admin), chosen)
    except Unreachable as error:
        print(f"drain: failed: {error}", file=sys.stderr)
        return 2
    except Interrupted:
        return 1
    end = "runs on" if chosen.keep_running else "stopped"
    if is_empty:
        say(f"ok: nothing is on its way and nothing waits; {end}")
        return 0
    print(f"drain: failed: at the deadline {state}; {end}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
