"""`make bench-instructions`: instructions that a request costs, on real Envoys under callgrind.

Repeats to 0.2 %, whatever else the machine does; blind to the kernel and to caches."""

import concurrent.futures
import re
import subprocess
import time

import bench
import build
import setup
from console import Command, Failure, say
from measuring import load, report, variants
from measuring.proxy import FOLDER, Proxy
from measuring.sink import Sink

WARM_UP = 300
# V8 compiles the module under callgrind, some fifty times slower than by itself.
READY_SECONDS = 600
# Instructions per request are the difference between two runs: what does not grow with them falls out.
FEW, MANY = 300, 1300
# Until what a worker holds is exported, so that it is counted with the requests that it is of.
EXPORTED_SECONDS = 3


def measure(variant, core, sink):
    """Instructions per request of one variant."""
    counts = FOLDER / f"{variant.label}.callgrind"
    for old in FOLDER.glob(f"{counts.name}*"):
        old.unlink()
    under = ["valgrind", "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={counts}"]
    proxy = Proxy(variant, core, under, sink=sink.port)
    try:
        proxy.wait(READY_SECONDS)
        load.burst(proxy, WARM_UP, core)
        if variant.exports:
            time.sleep(EXPORTED_SECONDS)
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
    if proxy.variant.exports:
        time.sleep(EXPORTED_SECONDS)
    _control(proxy, "-d")
    totals = []
    for dump in FOLDER.glob(f"{counts.name}.*"):
        found = re.search(r"^totals: (\d+)", dump.read_text(errors="replace"), re.M)
        totals.append(int(found.group(1)) if found else 0)
        dump.unlink()
    if not totals:
        raise Failure(f"callgrind wrote no counts for '{proxy.variant.name}'")
    return max(totals)


def count(chosen):
    """Instructions per request: {variant name: instructions}."""
    cores = bench.CORES[:2]
    sink = Sink(cores[-1])
    try:
        with concurrent.futures.ThreadPoolExecutor(len(cores)) as pool:
            counted = pool.map(lambda numbered: measure(numbered[1], cores[numbered[0] % len(cores)], sink), enumerate(chosen))
            return {variant.name: instructions for variant, instructions in zip(chosen, counted)}
    finally:
        sink.stop()


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
        _, chosen = bench.compared(bench.CORES[0])
        found = count(chosen)
    base = found[variants.NONE.name]
    rows = [[name, f"{counted:.0f}", f"{counted - base:.0f}"] for name, counted in found.items()]
    lines = [report.circumstances("make bench-instructions"), ""]
    lines += report.table(["variant", "instructions per request", "added to none"], rows)
    rows = []
    for what, name, beside, _ in bench.TARGETS:
        (of,) = bench.against({name: [count] for name, count in found.items()}, name, [base])
        rows.append([f"{what} / {beside}", f"{(of - base) / (found[beside] - base):.2f}"])
    lines += ["", *report.table(["added instructions / added instructions", "ratio"], rows)]
    report.write("instructions", lines)
    return "the tables are in docs/performance.md"


if __name__ == "__main__":
    Command("bench-instructions").run(main)
