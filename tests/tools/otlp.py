"""rotel and OTLP's protobuf, which judge what filters export: where they are, and how they get there."""

import shutil

import project
from console import run, say
from environment import Environment

FOLDER = project.ROOT / "tests" / "otlp"
JUDGES = Environment("otlp", [FOLDER / "requirements.txt"], hint="is the network there, and python3 3.11, 3.12 or 3.13?")
# Where the suites on a real Envoy keep what their sinks got (tests/harness/src/sink.rs).
BODIES = project.TARGET / "otlp-bodies"
BODIES_VARIABLE = "PORTCULLIS_OTLP_BODIES"


def install():
    say(f"    OTLP's judges are there: {project.relative(JUDGES.install())}")


def collect():
    """From here on the suites keep what their sinks get; what an earlier run left goes."""
    shutil.rmtree(BODIES, ignore_errors=True)
    return {BODIES_VARIABLE: str(BODIES)}


def judge():
    run([JUDGES.python(), FOLDER / "judge.py", BODIES], cwd=project.ROOT)
