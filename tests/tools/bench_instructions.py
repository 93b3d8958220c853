"""`make bench-instructions`: instructions that a request costs, on real Envoys under callgrind.

Repeats to 0.2 %, whatever else the machine does; blind to the kernel and to caches."""

import concurrent.futures
import re
import subprocess

import bench
import build
import setup
from console import Command, Failure, say
from measuring import load, report, variants
from measuring.proxy import FOLDER, Proxy

WARM_UP = 300
# V8 compiles the module under callgrind, some fifty times slower than by itself.
READY_SECONDS = 600
# Instructions per request are the difference between two runs: what does not grow with them falls out.
FEW, MANY = 300, 1300


def measure(variant, core):
    """Instructions per request of one variant."""
    counts = FOLDER / f"{variant.label}.callgrind"
    for old in FOLDER.glob(f"{counts.name}*"):
        old.unlink()
    under = ["valgrind", "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={counts}"]
    proxy = Proxy(variant, core, under)
    try:
        proxy.wait(READY_SECONDS)
        load.burst(proxy, WARM_UP, core)
        few, many = (_counted(proxy, requests, core, counts) for requests in (FEW, MANY))
    finally:
        proxy.stop()
        for old in FOLDER.glob(f"{counts.name}*"):
            old.unlink()
    say(f"    {variant.name}: {(many - few) / (MANY - FEW):.0f}")
    return (many - few) / (MANY - FEW)


def _counted(proxy, requests, core, counts):
    """Instructions of the busiest thread, which is the worker, while so many requests are answered."""
    _control(proxy, "-z")
    load.burst(proxy, requests, core)
    _control(proxy, "-d")
    totals = []
    for dump in FOLDER.glob(f"{counts.name}.*"):
        found = re.search(r"^totals: (\d+)", dump.read_text(errors="replace"), re.M)
        totals.append(int(found.group(1)) if found else 0)
        dump.unlink()
    if not totals:
        raise Failure(f"callgrind wrote no counts for '{proxy.variant.name}'")
    return max(totals)


def _control(proxy, what):
    command = ["callgrind_control", what, str(proxy.process.pid)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Failure(f"`{' '.join(command)}`: {done.stdout.strip()}")


def main(command):
    with command.stage("set-up"):
        setup.require("h2load", "taskset", "valgrind")
        setup.for_envoy()
    build.programs(command)
    build.modules(command)
    build.test_modules(command)
    with command.stage("measure"):
        headers, native = bench.equivalents(bench.CORES[0])
        compared = [variants.NONE, variants.Variant("none again"), *variants.ours(), *native]
        cores = bench.CORES[:2]
        with concurrent.futures.ThreadPoolExecutor(len(cores)) as pool:
            counted = list(pool.map(lambda numbered: measure(numbered[1], cores[numbered[0] % len(cores)]), enumerate(compared)))
    found = {variant.name: count for variant, count in zip(compared, counted)}
    base = found[variants.NONE.name]
    rows = [[name, f"{count:.0f}", f"{count - base:.0f}"] for name, count in found.items()]
    lines = [report.circumstances("make bench-instructions"), ""]
    lines += report.table(["variant", "instructions per request", "added to none"], rows)
    rows = []
    for what, name, beside, _ in variants.TARGETS:
        rows.append([f"{what} / {beside}", f"{(found[name] - base) / (found[beside] - base):.2f}"])
    lines += ["", *report.table(["added instructions / added instructions", "ratio"], rows)]
    report.write("instructions", lines)
    return "the tables are in docs/performance.md"


if __name__ == "__main__":
    Command("bench-instructions").run(main)
