"""`make fuzz`: every fuzz target for a bounded number of iterations."""

import setup
import suite
from console import Command


def main(command):
    with command.stage("set-up"):
        setup.for_build()
    suite.fuzz(command, suite.FUZZ_ITERATIONS)
    return f"{suite.FUZZ_ITERATIONS} iterations a target found nothing"


if __name__ == "__main__":
    Command("fuzz").run(main)
