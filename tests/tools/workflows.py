"""The forge's workflows before judges from outside: their schema (PyPI `check-jsonschema`, which brings it along), and what makes a
workflow unsafe (`zizmor`). Neither asks the network. Nobody here can run them."""

import project
from console import Failure, run
from environment import Environment

FILES = sorted((project.ROOT / ".github" / "workflows").glob("*.yaml"))
JUDGES = Environment("workflows", [project.ROOT / "tests" / "workflows" / "requirements.txt"], hint="is the network there, and python3 3.11 or newer?")


def judge():
    if not FILES:
        raise Failure(".github/workflows holds no workflow")
    programs = JUDGES.install() / "bin"
    run([programs / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *FILES], quiet=True)
    run([programs / "zizmor", "--offline", "--no-progress", *FILES], quiet=True)
