"""What is not run where documents are judged, and who runs it: (file, a text in it that shows it). Nothing else gets by."""

import re

import project
from console import Failure

SUITE, CI = "tests/tools/suite.py", ".ci/run"
# `make` commands. They take minutes, or make what the judge itself needs.
STAGES = {
    "build": (SUITE, "build.modules(command)"),
    "run": (SUITE, "demo.smoke(folder)"),
    "test": (CI, "run make test\n"),
    "release": (CI, "run make release\n"),
    "images": (CI, "run make images\n"),
    "compose-test": (CI, "run make compose-test\n"),
    # The test starts a harness that does not run, and ends it.
    "compose-up": ("tests/tools/compose.py", "            up(command, wanted)\n        started ="),
    "compose-down": (CI, "make compose-down"),
}
# Blocks whose page and language a test of their own reads.
READ_BY = {
    ("docs/audit-evidence.md", "json"): "filters/audit-chain/tests/documented.rs",
    ("docs/audit-evidence.md", "python"): "filters/audit-chain/tests/documented.rs",
    ("tests/scenarios/README.md", "yaml"): "tests/harness/tests/documented.rs",
}
# A page whose commands run against a proxy under traffic.
RUNBOOKS = ("docs/runbooks.md", ("tests/tools/watching/live.py", "def runbooks_work("))
# Scripts whose arguments are read here, and that a suite runs.
SUITES = {"envoy/rollout/rollout.py": ("tests/suites/tests/rollout.rs", "rollout.py")}
# Blocks `text`: what they are, by page and heading.
FIGURES = {
    ("README.md", "The way of a request"): "the order of the filters, compared with envoy/envoy.yaml",
    ("docs/problem-json.md", "Where it stands"): "the order of the filters, compared with the CLI's",
    ("docs/audit-evidence.md", "Format, version 1"): "a formula; its example below it is tested",
    ("docs/rate-limit.md", "Where it stands"): "a formula",
}


def shown(where, evidence):
    """Who runs it does."""
    file, text = evidence
    if text not in (project.ROOT / file).read_text():
        raise Failure(f"{where}: {file} has no `{text.strip()}` any more; say in tests/tools/documenting/elsewhere.py who runs it")


def stage(where, word):
    targets = set(re.findall(r"^([a-z-]+):", (project.ROOT / "Makefile").read_text(), re.M))
    if word not in targets:
        raise Failure(f"{where}: the Makefile has no {word}")
    if word not in STAGES:
        raise Failure(f"{where}: nobody runs `make {word}`; say in tests/tools/documenting/elsewhere.py who does")
    shown(where, STAGES[word])


def packages(where, words):
    """The packages of `apt-get install` are those that CI installs."""
    installed = set(re.findall(r"[a-z0-9+-]+", (project.ROOT / CI).read_text()))
    if missing := [word for word in words if word not in installed]:
        raise Failure(f"{where}: {CI} does not install {', '.join(missing)}")


def read_by(block):
    """Whether a test of its own reads the block."""
    key = (project.relative(block.page), block.language)
    if key not in READ_BY:
        return False
    shown(block.where, (READ_BY[key], block.page.name))
    if block.marker[0] == "example":
        shown(block.where, (READ_BY[key], f'"{block.marker[1]}"'))
    return True
