"""`make test-rate-limit-full`: rate-limit's suites on a real Envoy with their full numbers, some ten minutes."""

import build
import project
import setup
from console import Command, run

SUITES = ["rate_limit_exact", "rate_limit_updates", "rate_limit_memory", "rate_limit_in_flight"]


def main(command):
    with command.stage("set-up"):
        setup.for_tests()
    build.programs(command)
    build.modules(command)
    build.test_modules(command)
    environment = {"ENVOY": str(project.envoy()), "PORTCULLIS_DIST": str(project.DIST), "RATE_LIMIT_FULL": "1"}
    for suite in SUITES:
        with command.stage(suite):
            named = ["cargo", "test", *project.LOCKED, "-p", "portcullis-suites", "--test", suite]
            run([*named, "--", "--nocapture"], cwd=project.ROOT, extra_env=environment)
    return f"{len(SUITES)} suites passed"


if __name__ == "__main__":
    Command("test-rate-limit-full").run(main)
