"""schemathesis and httplint, which judge errors from outside: where they are, and how they get there."""

import hashlib
import re
import shutil
import sys

import project
from console import Failure, output, run, say

FOLDER = project.ROOT / "tests" / "judges"
REQUIREMENTS = FOLDER / "requirements.txt"
# What builds the one package that comes as source.
BUILD_REQUIREMENTS = FOLDER / "build-requirements.txt"


def home():
    """The virtual environment of these requirements and this Python. Another list gets another folder."""
    wanted = REQUIREMENTS.read_bytes() + BUILD_REQUIREMENTS.read_bytes() + sys.version.encode() + sys.executable.encode()
    return project.TOOLS / f"judges-{hashlib.sha256(wanted).hexdigest()[:12]}"


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
        pip += ["--require-hashes", "--no-deps", "--only-binary=:all:"]
        run([*pip, "--requirement", BUILD_REQUIREMENTS], hint="is the network there?")
        # sniffpy comes as source only; without build isolation nothing is fetched that has no hash here.
        pip += ["--no-binary", "sniffpy", "--no-build-isolation"]
        run([*pip, "--requirement", REQUIREMENTS], hint="is the network there, and python3 at least 3.11?")
        complete.touch()
    names = re.findall(r"^(schemathesis|httplint)==(\S+)", REQUIREMENTS.read_text(), re.M)
    said = " and ".join(f"{name} {version}" for name, version in sorted(names))
    say(f"    {said} are there: {project.relative(folder)}")
