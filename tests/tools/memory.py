"""`make measure-memory`: what Envoy's memory and its start cost with each module, into docs/operations.md."""

import pathlib
import re

import build
import project
import setup
from console import Command, Failure
from measuring import bundle, variants
from measuring.proxy import Proxy
from measuring.sink import Sink
from measuring.variants import NONE, Variant

PAGE = project.ROOT / "docs" / "operations.md"
BEGIN, END = "<!-- measured: memory -->", "<!-- end: memory -->"
WORKERS = (1, 2)
REQUESTS = 50


def compared():
    tracing, security, audit, problem, limit = bundle.modules()
    return [
        NONE,
        Variant("request-tracing", (tracing,)),
        Variant("security-headers", (security,)),
        Variant("audit-log", (audit,), exports=True),
        Variant("problem-json", (problem,)),
        Variant("rate-limit", (limit,)),
        Variant("all five, as five modules", bundle.modules(), exports=True),
        Variant("all five, as portcullis.wasm", (bundle.chain(audit_log=bundle.audit()),), exports=True),
    ]


def resident_megabytes(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.M)[1]) / 1000


def measured(variant, workers, sink):
    """Resident memory after some requests, and the CPU seconds from start to the first answer."""
    proxy = Proxy(variant, "0,1", workers=workers, sink=sink.port)
    try:
        proxy.wait()
        started = proxy.process_cpu_seconds()
        for _ in range(REQUESTS):
            proxy.get()
        return resident_megabytes(proxy.process), started
    finally:
        proxy.stop()


def table(rows):
    lines = [
        "",
        f"`make measure-memory`, Envoy {project.ENVOY_VERSION}: resident memory after {REQUESTS} requests, and CPU from start to the first answer.",
        "",
        "| filters | MB, one worker | MB, two workers | CPU seconds to start |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, (one, start), (two, _) in rows:
        lines.append(f"| {name} | {one:.0f} | {two:.0f} | {start:.2f} |")
    return "\n".join([*lines, ""])


def main(command):
    with command.stage("set-up"):
        setup.require("taskset")
        setup.for_envoy()
    build.programs(command)
    build.modules(command)
    rows = []
    with command.stage("memory"):
        sink = Sink("0,1")
        try:
            for variant in compared():
                rows.append((variant.name, *(measured(variant, workers, sink) for workers in WORKERS)))
        finally:
            sink.stop()
    changed, found = re.subn(rf"({re.escape(BEGIN)}).*?({re.escape(END)})", lambda m: f"{m[1]}\n{table(rows)}\n{m[2]}", PAGE.read_text(), flags=re.S)
    if not found:
        raise Failure(f"docs/operations.md has no lines {BEGIN} and {END}")
    PAGE.write_text(changed)
    return "the table is in docs/operations.md"


if __name__ == "__main__":
    Command("measure-memory").run(main)
