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
from measuring import bundle, contention, load, report, variants
from measuring.estimate import difference, ratio
from measuring.proxy import Proxy
from measuring.sink import Sink

# One core for all the Envoys, another for the load.
CORES = sorted(os.sched_getaffinity(0))
WARM_UP_ROUNDS = 3
MAX_SECONDS = 480
STARTS = 5
TARGETS = variants.TARGETS + bundle.TARGETS


def number(variable, default, least):
    text = os.environ.get(variable) or str(default)
    if not text.isdigit() or int(text) < least:
        raise Failure(f"{variable}={text}: give a whole number of at least {least}")
    return int(text)


def compared(core):
    """Every variant, and the response headers that security-headers really adds, which Envoy's native ones set."""
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
    own = [variants.NONE, variants.Variant("none again"), *variants.ours()]
    return headers, [*own, *variants.native(headers), *bundle.compared(headers)]


def measure(chosen, rounds, requests):
    """CPU µs per request: {variant name: one number per round}.

    What a worker did since its last turn counts too: it may still have sent what it had to export."""
    samples = {variant.name: [] for variant in chosen}
    sink = Sink(CORES[1])
    proxies, used = [], {}
    try:
        for variant in chosen:
            proxies.append(Proxy(variant, CORES[0], sink=sink.port))
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
                name = proxy.variant.name
                load.burst(proxy, requests, CORES[1])
                before, used[name] = used.get(name), proxy.cpu_ns()
                if at >= 0:
                    samples[name].append((used[name] - before) / requests / 1000)
    finally:
        for proxy in proxies:
            proxy.stop()
        sink.stop()
    return samples


def starts(chosen):
    """CPU seconds of a whole Envoy from its start to its first answer: a line and whether the target is met."""
    took = {}
    sink = Sink(CORES[1])
    try:
        for variant in [variant for variant in chosen if variant.name in (variants.NONE.name, bundle.FIVE)]:
            seconds = took.setdefault(variant.name, [])
            for _ in range(STARTS):
                proxy = Proxy(variant, CORES[0], sink=sink.port)
                try:
                    proxy.wait()
                    seconds.append(proxy.process_cpu_seconds())
                finally:
                    proxy.stop()
    finally:
        sink.stop()
    bare, five = (statistics.median(took[name]) for name in (variants.NONE.name, bundle.FIVE))
    met = five < bundle.START_TARGET
    told = f"from its start to its first answer an Envoy with all five in `portcullis.wasm` uses {five:.2f} s of CPU, one without a filter {bare:.2f} s"
    return f"{told} (median of {STARTS}); target < {bundle.START_TARGET} s: {'met' if met else 'missed'}.", met


def against(samples, name, base):
    """Samples of a variant; of a pair, what the first adds to the second, as if it were added to `base`."""
    if isinstance(name, str):
        return samples[name]
    more, less = (samples[one] for one in name)
    return [none + one - other for none, one, other in zip(base, more, less)]


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
    for what, name, beside, limit in TARGETS:
        found = ratio(against(samples, name, base), samples[beside], base)
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
        headers, chosen = compared(CORES[0])
        started = starts(chosen)
        samples = measure(chosen, rounds, requests)
        hot, many = contention.measure(rounds, requests)
    lines, met = tables(samples, headers, rounds, requests)
    for line, met_too in (contended(hot, many), started):
        lines += ["", line[0].upper() + line[1:]]
        met += met_too
    report.write("cpu", lines)
    return f"{met} of {sum(limit is not None for *_, limit in TARGETS) + 2} targets met; the tables are in docs/performance.md"


if __name__ == "__main__":
    Command("bench").run(main)
