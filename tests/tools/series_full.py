"""`make test-series-full`: many hostile requests make no new series."""

import os

import build
import project
import setup
from console import Command, run

REQUESTS = os.environ.get("SERIES_REQUESTS") or "100000"


def main(command):
    with command.stage("set-up"):
        setup.for_envoy()
    build.programs(command)
    build.modules(command)
    environment = {"ENVOY": str(project.envoy()), "PORTCULLIS_DIST": str(project.DIST), "SERIES_REQUESTS": REQUESTS}
    with command.stage(f"{REQUESTS} hostile requests"):
        suite = ["cargo", "test", *project.LOCKED, "-p", "portcullis-suites", "--test", "metric_series"]
        run([*suite, "--", "--nocapture"], cwd=project.ROOT, extra_env=environment)
    return "no new series"


if __name__ == "__main__":
    Command("test-series-full").run(main)
