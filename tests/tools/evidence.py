"""The schemas that judge audit records from outside: where they are, and how they get there."""

import shutil

import project
from console import run, say
from environment import Environment

FOLDER = project.ROOT / "tests" / "evidence"
JUDGES = Environment("evidence", [FOLDER / "requirements.txt"], hint="is the network there, and python3 3.11, 3.12 or 3.13?")
SCHEMA = project.ROOT / "docs" / "audit-record.schema.json"
# Where the suites on a real Envoy keep the records that they got (tests/suites/src/evidence.rs).
RECORDS = project.TARGET / "audit-records"
RECORDS_VARIABLE = "PORTCULLIS_AUDIT_RECORDS"


def install():
    say(f"    the judges of audit records are there: {project.relative(JUDGES.install())}")


def collect():
    """From here on the suites keep the records that they get; what an earlier run left goes."""
    shutil.rmtree(RECORDS, ignore_errors=True)
    return {RECORDS_VARIABLE: str(RECORDS)}


def judge():
    run([JUDGES.python(), "-B", FOLDER / "judge.py", RECORDS, SCHEMA], cwd=project.ROOT)
