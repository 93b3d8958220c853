"""schemathesis and httplint, which judge errors from outside: where they are, and how they get there."""

import re

import project
from console import say
from environment import Environment

FOLDER = project.ROOT / "tests" / "judges"
REQUIREMENTS = FOLDER / "requirements.txt"
# sniffpy comes as source only; what builds it comes first, and without build isolation nothing is fetched that has no hash.
FROM_SOURCE = ["--no-binary", "sniffpy", "--no-build-isolation"]
JUDGES = Environment(
    "judges",
    [FOLDER / "build-requirements.txt"],
    [REQUIREMENTS, *FROM_SOURCE],
    hint="is the network there, and python3 at least 3.11?",
)


def install():
    folder = JUDGES.install()
    names = re.findall(r"^(schemathesis|httplint)==(\S+)", REQUIREMENTS.read_text(), re.M)
    said = " and ".join(f"{name} {version}" for name, version in sorted(names))
    say(f"    {said} are there: {project.relative(folder)}")
