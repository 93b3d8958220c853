"""Known vulnerabilities in what we depend on. Needs the network: the RustSec advisory database is a repository of its own."""

import project
import setup
from console import Command, run


def main(command):
    with command.stage("cargo-deny"):
        setup.for_build()
        program = setup.cargo_deny()
    with command.stage("advisories"):
        run([program, "--locked", "check", "advisories"], cwd=project.ROOT, hint="is the network there?")
    return "no advisory against what Cargo.lock names"


if __name__ == "__main__":
    Command("advisories").run(main)
