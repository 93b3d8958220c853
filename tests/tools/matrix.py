"""`make test-matrix`: the suites on every Envoy that is pinned, and what came of it into docs/hosts.md."""

import dataclasses
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import build
import project
import setup
import suite
from console import Command, Failure, say

PAGE = project.ROOT / "docs" / "hosts.md"
BEGIN, END = "<!-- measured: matrix -->", "<!-- end: matrix -->"
# What failing suites said.
LOGS = project.ROOT / "tests" / "artifacts" / "matrix"
# Suites that start no Envoy.
WITHOUT_ENVOY = {"portcullis_suites", "rollout_mishaps", "drain_mishaps", "scenarios_host", "scenarios_native"}
# What hangs must not keep the others from running.
SECONDS = 600


@dataclasses.dataclass
class Result:
    """What became of one suite on one Envoy."""

    passed: int = 0
    left_out: list = dataclasses.field(default_factory=list)
    failed: list = dataclasses.field(default_factory=list)

    def cell(self):
        parts = [str(self.passed)]
        if self.left_out:
            parts.append(f"{len(self.left_out)} left out")
        if self.failed:
            parts.append(f"**{len(self.failed)} failed**")
        return ", ".join(parts)


def run_suite(name, folder, executable, version):
    environment = {
        **os.environ,
        "CARGO_MANIFEST_DIR": str(folder),
        "ENVOY": str(project.envoy_of(version)),
        "PORTCULLIS_DIST": str(project.DIST),
    }
    log = LOGS / f"{version}-{name}.log"
    LOGS.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log.open("wb") as into:
        try:
            code = subprocess.run([executable], cwd=folder, env=environment, stdout=into, stderr=subprocess.STDOUT, timeout=SECONDS).returncode
        except subprocess.TimeoutExpired:
            code = None
    said = log.read_text(errors="replace")
    result = Result(
        passed=sum(int(count) for count in re.findall(r"^test result: .* (\d+) passed", said, re.M)),
        left_out=re.findall(r"^left out: (.*)$", said, re.M),
        failed=re.findall(r"^test (.*?) +\.\.\.\s+FAILED", said, re.M),
    )
    if code is None:
        result.failed.append(f"not done in {SECONDS} s")
    elif code and not result.failed:
        result.failed.append(f"ended with {code}")
    elif not code and not result.passed:
        result.failed.append("no test ran")
    say(f"    Envoy {version}, {name}: {result.cell()} ({time.monotonic() - started:.0f} s)")
    for why in result.left_out:
        say(f"        left out: {why}")
    if result.failed:
        say(f"        failed: {', '.join(result.failed)}; {project.relative(log)} says how")
    else:
        log.unlink()
    return result


def table():
    """The rows of the page's table, by suite: a run of some suites keeps the others'."""
    text = PAGE.read_text()
    if BEGIN not in text or END not in text:
        raise Failure(f"{project.relative(PAGE)} has no lines {BEGIN} and {END}")
    measured = text.split(BEGIN)[1].split(END)[0]
    lines = [line.strip("| ").split(" | ") for line in measured.splitlines() if line.startswith("| ")]
    if not lines or lines[0] != ["suite", *project.ENVOY_VERSIONS]:
        return {}
    return {name: cells for name, *cells in lines[2:] if name != "all"}


def total(rows):
    """The last row: each number summed over the suites."""
    cells = []
    for column in zip(*rows.values()):
        said = " ".join(column)
        sums = {what: sum(map(int, re.findall(rf"(\d+) {what}", said))) for what in ("left out", "failed")}
        passed = sum(int(cell.split(",")[0]) for cell in column)
        more = [f"{sums['left out']} left out"] * bool(sums["left out"]) + [f"**{sums['failed']} failed**"] * bool(sums["failed"])
        cells.append(", ".join([str(passed), *more]))
    return cells


def write(rows, suites):
    """The suites in the order of their names; those that are gone go."""
    rows = {name: rows[name] for name in sorted(suites) if name in rows}
    lines = [["suite", *project.ENVOY_VERSIONS], ["---", *["---:"] * len(project.ENVOY_VERSIONS)]]
    lines += [[name, *cells] for name, cells in rows.items()]
    lines.append(["all", *total(rows)])
    written = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    changed = re.sub(rf"({re.escape(BEGIN)}).*?({re.escape(END)})", lambda m: f"{m[1]}\n\n{written}\n\n{m[2]}", PAGE.read_text(), flags=re.S)
    PAGE.write_text(changed)


def main(command):
    with command.stage("set-up"):
        setup.for_build()
        for version in project.ENVOY_VERSIONS:
            setup.download_envoy(version)
    build.programs(command)
    build.modules(command)
    build.test_modules(command)
    return run_all(command)


def run_all(command):
    of_envoy = [b for b in suite.test_binaries(command) if project.package(b[0]) == suite.REAL_ENVOY]
    suites = {executable.name.rsplit("-", 1)[0]: (folder, executable) for folder, executable in of_envoy}
    suites = {name: found for name, found in suites.items() if name not in WITHOUT_ENVOY}
    wanted = (os.environ.get("SUITES") or " ".join(suites)).split()
    if unknown := set(wanted) - set(suites):
        raise Failure(f"SUITES: there is no {', '.join(sorted(unknown))}; there are {', '.join(sorted(suites))}")
    rows, broken = table(), []
    results = {name: {} for name in wanted}
    # Copies: a build in the meantime must not change what is measured.
    with tempfile.TemporaryDirectory() as copies:
        for name in wanted:
            suites[name] = (suites[name][0], Path(shutil.copy2(suites[name][1], copies)))
        for version in project.ENVOY_VERSIONS:
            with command.stage(f"suites on Envoy {version}"):
                for name in wanted:
                    result = results[name][version] = run_suite(name, *suites[name], version)
                    broken += [f"{version}, {name}: {test}" for test in result.failed]
    rows.update({name: [by_version[v].cell() for v in project.ENVOY_VERSIONS] for name, by_version in results.items()})
    write(rows, suites)
    if broken:
        raise Failure("; ".join(broken))
    return f"{len(wanted)} suites on {len(project.ENVOY_VERSIONS)} versions of Envoy"


if __name__ == "__main__":
    Command("test-matrix").run(main)
