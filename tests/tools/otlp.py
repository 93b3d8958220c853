"""rotel and OTLP's protobuf, which judge what filters export: where they are, and how they get there."""

import hashlib
import shutil
import sys

import project
from console import Failure, output, run, say

FOLDER = project.ROOT / "tests" / "otlp"
REQUIREMENTS = FOLDER / "requirements.txt"
# Where the suites on a real Envoy keep what their sinks got (tests/harness/src/sink.rs).
BODIES = project.TARGET / "otlp-bodies"
BODIES_VARIABLE = "PORTCULLIS_OTLP_BODIES"


def home():
    """The virtual environment of these requirements and this Python. Another list gets another folder."""
    wanted = REQUIREMENTS.read_bytes() + sys.version.encode() + sys.executable.encode()
    return project.TOOLS / f"otlp-{hashlib.sha256(wanted).hexdigest()[:12]}"


def install():
    """Fetches the judges, each file pinned by SHA-256. What is there already is not fetched again."""
    folder = home()
    complete = folder / "complete"
    if not complete.exists():
        shutil.rmtree(folder, ignore_errors=True)
        if output([sys.executable, "-m", "venv", folder]) is None:
            shutil.rmtree(folder, ignore_errors=True)
            raise Failure("python3 makes no virtual environment; run `apt-get install python3-venv`")
        pip = [folder / "bin" / "python3", "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
        pip += ["--require-hashes", "--no-deps", "--only-binary=:all:", "--requirement", REQUIREMENTS]
        run(pip, hint="is the network there, and python3 3.11, 3.12 or 3.13?")
        complete.touch()
    say(f"    OTLP's judges are there: {project.relative(folder)}")


def collect():
    """From here on the suites keep what their sinks get; what an earlier run left goes."""
    shutil.rmtree(BODIES, ignore_errors=True)
    return {BODIES_VARIABLE: str(BODIES)}


def judge():
    run([home() / "bin" / "python3", FOLDER / "judge.py", BODIES], cwd=project.ROOT)
