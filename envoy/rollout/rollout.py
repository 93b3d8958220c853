#!/usr/bin/env python3
"""Moves traffic from one colour to the other in steps, watches what becomes of it, and takes it back where it does not go well.

    envoy/rollout/rollout.py --to green                      canary: 5, 25, 50, 100 percent
    envoy/rollout/rollout.py --to green --steps 100          blue-green: all at once
    envoy/rollout/rollout.py --to blue --now                 back at once, without watching

A step is a new weights file, put into the old one's place by renaming it. Then Prometheus is asked what the colour's cluster did
since the step began: how many requests, how many of them failed (5xx, and connections that could not be made), and within which
time 95 % were answered. Attempts count, so a failure that a retry hid counts, too. A step is good after --hold seconds and
--min-requests requests. Beyond --max-error-ratio or --max-p95-ms, or when Prometheus cannot be asked, or when this program is
interrupted, the weights of the beginning come back.

Needs Python 3.9 and nothing else. Exit status: 0 all steps done, 1 rolled back, 2 nothing was begun.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

COLOURS = ("blue", "green")
HERE = pathlib.Path(__file__).resolve().parent
# Fewer requests than these say nothing about a ratio.
ENOUGH_TO_FAIL = 10
# So often in a row may Prometheus not answer.
UNANSWERED = 3
# How often in vain, where too few requests come, a step waits its time anew.
PATIENCE = 10


class Refused(Exception):
    """Nothing was begun."""


class Failed(Exception):
    """Why traffic goes back."""


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


class Weights:
    """The watched file."""

    def __init__(self, path):
        self.path = path
        try:
            self.text = path.read_text()
        except OSError as error:
            raise Refused(f"{path}: {error.strerror}") from None
        self.shares = {colour: self._share(colour) for colour in COLOURS}

    def _share(self, colour):
        found = re.findall(rf"^ *rollout\.upstream-{colour}: *(\d+) *$", self.text, re.M)
        if len(found) != 1:
            raise Refused(f"{self.path}: not exactly one line `rollout.upstream-{colour}: NUMBER`")
        return int(found[0])

    def put(self, colour, share):
        """`share` percent for the colour, the rest for the other."""
        text = self.text
        for name in COLOURS:
            number = share if name == colour else 100 - share
            text = re.sub(rf"^( *rollout\.upstream-{name}:) *\d+ *$", rf"\1 {number}", text, flags=re.M)
        self._replace(text)

    def restore(self):
        self._replace(self.text)

    def _replace(self, text):
        # Envoy must never see half a file, and watches for what is renamed into its folder.
        new = self.path.with_name(f".{self.path.name}.new")
        new.write_text(text)
        os.replace(new, self.path)


class Prometheus:
    def __init__(self, url, cluster, labels):
        self.url = url.rstrip("/")
        self.selector = f'envoy_cluster_name="{cluster}"' + (f",{labels}" if labels else "")

    def query(self, expression):
        """The values of an expression, by their labels."""
        address = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        with urllib.request.urlopen(address, timeout=5) as answer:
            told = json.load(answer)
        return [(entry["metric"], float(entry["value"][1])) for entry in told["data"]["result"]]

    def counters(self):
        """What the cluster counted, by series: since a proxy's start, so only differences say something."""
        of = lambda name, more="": self.query(f"{name}{{{self.selector}{more}}}")
        series = {
            "requests": of("envoy_cluster_upstream_rq_total"),
            "errors": of("envoy_cluster_upstream_rq_xx", ',envoy_response_code_class="5"'),
            "unconnected": of("envoy_cluster_upstream_cx_connect_fail"),
            "times": of("envoy_cluster_upstream_rq_time_bucket"),
        }
        return {name: {json.dumps(labels, sort_keys=True): value for labels, value in found} for name, found in series.items()}

    def scraped_since(self, when):
        """Whether every series is of a scrape after this time of Prometheus' own clock; one that is not there yet is, too."""
        found = self.query(f"timestamp(envoy_cluster_upstream_rq_total{{{self.selector}}})")
        return all(scraped > when for _, scraped in found)

    def now(self):
        return float(self.query("vector(time())")[0][1])

    def healthy(self):
        return sum(value for _, value in self.query(f"envoy_cluster_membership_healthy{{{self.selector}}}"))


def grown(before, now, name):
    """How much each series grew; one that was not there, or whose proxy was restarted, began at 0."""
    growth = {}
    for series, value in now[name].items():
        old = before[name].get(series, 0)
        growth[series] = value - old if value >= old else value
    return growth


def judge(before, now):
    """(requests, ratio of errors, 95th percentile in milliseconds) of what happened between."""
    unconnected = sum(grown(before, now, "unconnected").values())
    requests = sum(grown(before, now, "requests").values()) + unconnected
    errors = sum(grown(before, now, "errors").values()) + unconnected
    return requests, min(1.0, errors / requests) if requests else 0.0, quantile(grown(before, now, "times"), 0.95)


def quantile(growth, share):
    """As Prometheus' histogram_quantile: between the bounds of the bucket it is in."""
    buckets = {}
    for series, value in growth.items():
        bound = float(json.loads(series)["le"])
        buckets[bound] = buckets.get(bound, 0) + value
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0
    if not total:
        return 0.0
    wanted, low, below = share * total, 0.0, 0.0
    for bound in bounds:
        inside = buckets[bound] - below
        if buckets[bound] >= wanted:
            return low if bound == float("inf") or not inside else low + (bound - low) * (wanted - below) / inside
        low, below = bound, buckets[bound]
    return low


def asked(prometheus, what):
    """An answer of Prometheus, which may be away for a moment."""
    for attempt in range(UNANSWERED):
        try:
            return what()
        except (OSError, ValueError, KeyError) as error:
            last = error
            time.sleep(0.5 * (attempt + 1))
    raise Failed(f"Prometheus ({prometheus.url}) does not answer: {last}")


def watch(prometheus, options, before):
    """Returns when a step has been good for long enough."""
    began = time.monotonic()
    while True:
        time.sleep(options.interval)
        requests, ratio, p95 = judge(before, asked(prometheus, prometheus.counters))
        told = f"{requests:.0f} requests, {ratio:.2%} failed, p95 {p95:.0f} ms"
        if requests >= ENOUGH_TO_FAIL and ratio > options.max_error_ratio:
            raise Failed(f"{told}: more than {options.max_error_ratio:.2%} failed")
        if requests >= ENOUGH_TO_FAIL and p95 > options.max_p95_ms:
            raise Failed(f"{told}: slower than {options.max_p95_ms:.0f} ms")
        held = time.monotonic() - began
        if held >= options.hold + options.flush and requests >= options.min_requests:
            return told
        if held >= options.hold * PATIENCE:
            raise Failed(f"{told}: fewer than {options.min_requests} requests in {held:.0f} s, too few to judge by")


def settle(prometheus, options):
    """Waits until Prometheus has what was before: it is not to be held against this rollout."""
    time.sleep(options.flush)
    begun = asked(prometheus, prometheus.now)
    until = time.monotonic() + options.hold * PATIENCE
    while not asked(prometheus, lambda: prometheus.scraped_since(begun)):
        if time.monotonic() > until:
            raise Failed("Prometheus has scraped nothing since the rollout began: is Envoy among its targets?")
        time.sleep(options.interval)


def roll(weights, prometheus, options):
    settle(prometheus, options)
    for step in options.steps:
        before = asked(prometheus, prometheus.counters)
        weights.put(options.to, step)
        say(f"{options.to} gets {step} %")
        say(f"{options.to} is good at {step} %: {watch(prometheus, options, before)}")


def begin(options):
    weights = Weights(options.weights)
    if options.now:
        weights.put(options.to, 100)
        say(f"{options.to} gets 100 %")
        return 0
    if weights.shares[options.to] == 100:
        raise Refused(f"{options.to} has everything already")
    options.steps = [step for step in options.steps if step > weights.shares[options.to]]
    prometheus = Prometheus(options.prometheus, f"upstream-{options.to}", options.labels)
    try:
        healthy = asked(prometheus, prometheus.healthy)
    except Failed as failed:
        raise Refused(str(failed)) from None
    if not healthy:
        raise Refused(f"no host of upstream-{options.to} is healthy, as far as Prometheus knows")
    try:
        roll(weights, prometheus, options)
    except BaseException as why:
        weights.restore()
        say(f"rolled back to {weights.shares}: {why or type(why).__name__}")
        if isinstance(why, (Failed, KeyboardInterrupt)):
            return 1
        raise
    say(f"done: {options.to} has {options.steps[-1]} %")
    return 0


def steps(text):
    numbers = [int(number) for number in text.split(",")]
    if numbers != sorted(set(numbers)) or not numbers or numbers[0] < 1 or numbers[-1] > 100:
        raise argparse.ArgumentTypeError("percentages from 1 to 100, each larger than the one before")
    return numbers


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", choices=COLOURS, required=True)
    parser.add_argument("--steps", type=steps, default=[5, 25, 50, 100], help="percentages, as 5,25,50,100")
    parser.add_argument("--now", action="store_true", help="all at once, without Prometheus")
    parser.add_argument("--hold", type=float, default=60, metavar="SECONDS", help="how long each step lasts (60)")
    parser.add_argument("--interval", type=float, default=5, metavar="SECONDS", help="between two looks (5)")
    parser.add_argument("--flush", type=float, default=5, metavar="SECONDS", help="Envoy's stats_flush_interval: its histograms are that late (5)")
    parser.add_argument("--min-requests", type=int, default=50, help="that a step has to see (50)")
    parser.add_argument("--max-error-ratio", type=float, default=0.02, help="(0.02)")
    parser.add_argument("--max-p95-ms", type=float, default=1000, help="(1000)")
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090", metavar="URL")
    parser.add_argument("--labels", default="", help='more of the series\' labels, as job="edge"')
    parser.add_argument("--weights", type=pathlib.Path, default=HERE / "weights.yaml")
    return parser.parse_args()


def interrupted(*_):
    raise KeyboardInterrupt("interrupted")


def main():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    try:
        return begin(read_options())
    except Refused as refused:
        print(f"rollout: {refused}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
