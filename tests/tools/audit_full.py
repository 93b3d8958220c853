"""`make test-audit-full`: audit-log's suites of delivery on a real Envoy with their full numbers, some ten minutes."""

import build
import project
import setup
from console import Command, run

SUITES = ["audit_delivery", "audit_ends", "audit_memory"]


def main(command):
    with command.stage("set-up"):
        setup.for_tests()
    build.programs(command)
    build.modules(command)
    build.test_modules(command)
    environment = {"ENVOY": str(project.envoy()), "PORTCULLIS_DIST": str(project.DIST), "AUDIT_DELIVERY_FULL": "1"}
    for suite in SUITES:
        with command.stage(suite):
            named = ["cargo", "test", *project.LOCKED, "-p", "portcullis-suites", "--test", suite]
            run([*named, "--", "--nocapture"], cwd=project.ROOT, extra_env=environment)
    return f"{len(SUITES)} suites passed"


if __name__ == "__main__":
    Command("test-audit-full").run(main)
