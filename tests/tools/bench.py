"""`make bench`: CPU time that a request costs, on real Envoys that all run at once.

The machine's speed drifts, so every variant is measured in every round, each round in another order, and only
differences within a round are kept."""

import os
import random
import statistics
import time

import build
import setup
from console import Command, Failure, say
from measuring import contention, load, report, variants
from measuring.estimate import difference, ratio
from measuring.proxy import Proxy

# One core for all the Envoys, another for the load.
CORES = sorted(os.sched_getaffinity(0))
WARM_UP_ROUNDS = 3
MAX_SECONDS = 360


def number(variable, default, least):
    text = os.environ.get(variable) or str(default)
    if not text.isdigit() or int(text) < least:
        raise Failure(f"{variable}={text}: give a whole number of at least {least}")
    return int(text)


def equivalents(core):
    """Envoy's native variants, with the response headers that security-headers really adds."""
    without, with_filter = Proxy(variants.NONE, core), Proxy(variants.SECURITY, core)
    try:
        for proxy in (without, with_filter):
            proxy.wait()
        headers = variants.added(with_filter.get(), without.get())
    finally:
        without.stop()
        with_filter.stop()
    if len(headers) < 8:
        raise Failure(f"security-headers added only {len(headers)} headers")
    return headers, variants.native(headers)


def measure(compared, rounds, requests):
    """CPU µs per request: {variant name: one number per round}."""
    samples = {variant.name: [] for variant in compared}
    proxies = []
    try:
        for variant in compared:
            proxies.append(Proxy(variant, CORES[0]))
        for proxy in proxies:
            proxy.wait()
        say(f"    {len(proxies)} Envoys serve; {rounds} rounds of {requests} requests each")
        deadline = time.monotonic() + MAX_SECONDS
        for at in range(-WARM_UP_ROUNDS, rounds):
            if time.monotonic() > deadline:
                say(f"    stopped after {at} rounds: {MAX_SECONDS} s are over")
                break
            # Not by rotation: a variant that always follows the same other one finds that one's lines in the caches.
            random.Random(at).shuffle(proxies)
            for proxy in proxies:
                before = proxy.cpu_ns()
                load.burst(proxy, requests, CORES[1])
                if at >= 0:
                    samples[proxy.variant.name].append((proxy.cpu_ns() - before) / requests / 1000)
    finally:
        for proxy in proxies:
            proxy.stop()
    return samples


def contended(hot, many):
    """A line and whether its target is met: throughput with one key over that with many."""
    found = ratio(many, hot, [0.0] * len(hot))
    met = found.low >= variants.CONTENDED_TARGET
    told = f"two workers, one key / {contention.CLIENTS} keys: {found.middle:.2f} of the throughput ({found.low:.2f} … {found.high:.2f})"
    return f"{told}; target ≥ {variants.CONTENDED_TARGET} (lower end): {'met' if met else 'missed'}.", met


def tables(samples, headers, rounds, requests):
    base = samples[variants.NONE.name]
    if len(base) < 5:
        raise Failure("too few rounds fit into the time; lower REQUESTS")
    rows = []
    for name, values in samples.items():
        added = difference(values, base)
        rows.append([name, f"{statistics.median(values):.2f}", f"{added.middle:.2f}", f"{added.low:.2f} … {added.high:.2f}"])
    lines = [
        report.circumstances(f"make bench ROUNDS={rounds} REQUESTS={requests}"),
        f"`api` adds {len(headers)} response headers here. Medians over {len(base)} rounds; intervals are 95 % (bootstrap).",
        "",
        *report.table(["variant", "CPU µs per request", "added to none", "interval"], rows),
        "",
    ]
    rows, met = [], 0
    for what, name, beside, limit in variants.TARGETS:
        found = ratio(samples[name], samples[beside], base)
        target = verdict = ""
        if limit is not None:
            met += found.high <= limit
            target, verdict = f"≤ {limit}", "met" if found.high <= limit else "missed"
        rows.append([f"{what} / {beside}", f"{found.middle:.2f}", f"{found.low:.2f} … {found.high:.2f}", target, verdict])
    lines += report.table(["added CPU / added CPU", "ratio", "interval", "target (upper end)", ""], rows)
    return lines, met


def main(command):
    rounds, requests = number("ROUNDS", 100, 5), number("REQUESTS", 6000, 500)
    with command.stage("set-up"):
        setup.require("h2load", "taskset")
        setup.for_envoy()
        if len(CORES) < 2:
            raise Failure("one core is not enough: Envoy and the load need one each")
    build.programs(command)
    build.modules(command)
    build.test_modules(command)
    with command.stage("measure"):
        headers, native = equivalents(CORES[0])
        compared = [variants.NONE, variants.Variant("none again"), *variants.ours(), *native]
        samples = measure(compared, rounds, requests)
        hot, many = contention.measure(rounds, requests)
    lines, met = tables(samples, headers, rounds, requests)
    line, met_too = contended(hot, many)
    lines += ["", line[0].upper() + line[1:]]
    met += met_too
    report.write("cpu", lines)
    return f"{met} of {sum(limit is not None for *_, limit in variants.TARGETS) + 1} targets met; the tables are in docs/performance.md"


if __name__ == "__main__":
    Command("bench").run(main)
