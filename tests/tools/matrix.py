"""`make test-matrix`: the suites on every Envoy that is pinned, and what came of it into docs/hosts.md."""

import os
import re
import subprocess

import build
import project
import setup
import suite
from console import Command, Failure, say

PAGE = project.ROOT / "docs" / "hosts.md"
BEGIN, END = "<!-- measured: matrix -->", "<!-- end: matrix -->"


def run_suites(binaries, version):
    """Runs every suite on this Envoy. Gives how many tests passed and which failed."""
    passed, failed = 0, []
    for folder, executable in binaries:
        name = executable.name.rsplit("-", 1)[0]
        environment = {
            "CARGO_MANIFEST_DIR": str(folder),
            "ENVOY": str(project.envoy_of(version)),
            "PORTCULLIS_DIST": str(project.DIST),
        }
        done = subprocess.run([executable], cwd=folder, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        passed += sum(int(count) for count in re.findall(r"(\d+) passed", done.stdout))
        broken = re.findall(r"^test (.*?) +\.\.\. FAILED", done.stdout, re.M)
        if done.returncode:
            # Where nothing passes, what the cases share did not start.
            some = re.search(r"[1-9]\d* passed", done.stdout)
            failed += [f"{name}: {test}" for test in broken] if some and broken else [f"{name}, all of it"]
            say(done.stdout)
        say(f"    Envoy {version}, {name}: {'failed' if done.returncode else 'ok'}")
    return passed, failed


def main(command):
    with command.stage("set-up"):
        setup.for_build()
        for version in project.ENVOY_VERSIONS:
            setup.download_envoy(version)
    build.programs(command)
    build.modules(command)
    build.test_modules(command)
    binaries = [b for b in suite.test_binaries(command) if project.package(b[0]) == suite.REAL_ENVOY]
    wanted = (os.environ.get("SUITES") or "").split()
    if wanted:
        binaries = [b for b in binaries if b[1].name.rsplit("-", 1)[0] in wanted]
    rows, broken = [], []
    for version in project.ENVOY_VERSIONS:
        with command.stage(f"suites on Envoy {version}"):
            passed, failed = run_suites(binaries, version)
        rows.append(f"| {version} | {passed} | {', '.join(failed) or 'none'} |")
        broken += [f"{version}: {name}" for name in failed]
    write(rows, wanted)
    if broken:
        raise Failure(f"{len(broken)} failed; docs/hosts.md has the list")
    return f"{len(rows)} versions of Envoy, all suites"


def write(rows, wanted):
    text = PAGE.read_text()
    which = f"The suites {', '.join(wanted)}:" if wanted else "All suites:"
    table = "\n".join(["", which, "", "| Envoy | tests passed | failed |", "| --- | ---: | --- |", *rows, ""])
    changed, found = re.subn(rf"({re.escape(BEGIN)}).*?({re.escape(END)})", lambda m: f"{m[1]}\n{table}\n{m[2]}", text, flags=re.S)
    if not found:
        raise Failure(f"docs/hosts.md has no lines {BEGIN} and {END}")
    PAGE.write_text(changed)


if __name__ == "__main__":
    Command("test-matrix").run(main)
