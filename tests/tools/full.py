"""`make test-rate-limit-full` and `make test-audit-full`: suites on a real Envoy with their full numbers, some ten minutes."""

import sys

import build
import project
import setup
from console import Command, run

# By what is asked for: the variable that asks the suites for it, and these.
FULL = {
    "rate-limit": ("RATE_LIMIT_FULL", ["rate_limit_exact", "rate_limit_updates", "rate_limit_memory", "rate_limit_in_flight"]),
    "audit": ("AUDIT_DELIVERY_FULL", ["audit_delivery", "audit_ends", "audit_memory"]),
}
WHICH = sys.argv[1]
VARIABLE, SUITES = FULL[WHICH]


def main(command):
    with command.stage("set-up"):
        setup.for_tests()
    build.programs(command)
    build.modules(command)
    build.test_modules(command)
    environment = {"ENVOY": str(project.envoy()), "PORTCULLIS_DIST": str(project.DIST), VARIABLE: "1"}
    for suite in SUITES:
        with command.stage(suite):
            named = ["cargo", "test", *project.LOCKED, "-p", "portcullis-suites", "--test", suite]
            run([*named, "--", "--nocapture"], cwd=project.ROOT, extra_env=environment)
    return f"{len(SUITES)} suites passed"


if __name__ == "__main__":
    Command(f"test-{WHICH}-full").run(main)
