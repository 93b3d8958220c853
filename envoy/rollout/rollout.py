#!/usr/bin/env python3
"""Moves traffic from one colour to the other in steps, watches what becomes of it, and takes it back where it does not go well.

    envoy/rollout/rollout.py --to green                      canary: 5, 25, 50, 100 percent
    envoy/rollout/rollout.py --to green --steps 100          blue-green: all at once
    envoy/rollout/rollout.py --to blue --now                 back at once, without watching

A step is a new weights file, put into the old one's place by renaming it. Then Prometheus is asked what the colour's cluster did
since the step began: how many requests, how many of them failed (5xx, and connections that could not be made), and within which
time 95 % were answered. Attempts count, so a failure that a retry hid counts, too. A step is good after --hold seconds and
--min-requests requests. Beyond --max-error-ratio or --max-p95-ms, or when Prometheus cannot be asked, or sees no statuses or no
times, or when this program is interrupted, the weights of the beginning come back.

Only one rollout of a file runs at a time. Who changes the file meanwhile (--now, or by hand) has the last word: the rollout ends
and leaves it so.

Needs Python 3.9 and nothing else. Exit status: 0 all steps done, 1 rolled back or overtaken, 2 nothing was begun, 3 the weights of
the beginning could not be put back: the file has what the last line says.
"""

import argparse
import contextlib
import errno
import fcntl
import http.client
import json
import math
import os
import pathlib
import re
import shutil
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
# So often the old weights are put back, where that fails.
RESTORES = 5
# What a server may do instead of answering.
NO_ANSWER = (OSError, http.client.HTTPException, ValueError, LookupError, TypeError)


class Refused(Exception):
    """Nothing was begun."""


class Failed(Exception):
    """Why traffic goes back."""


class Overtaken(Exception):
    """Somebody else decided."""


def say(text):
    # A terminal that is gone must not end a rollout, least of all its way back.
    with contextlib.suppress(OSError):
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


class Weights:
    """The watched file."""

    def __init__(self, path):
        self.path = path
        if path.is_symlink():
            raise Refused(f"{path} is a symbolic link; name the file itself: Envoy watches the folder that it is in")
        try:
            self.text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise Refused(f"{path}: {error}") from None
        # What we wrote, or are about to write in its place.
        self.ours = {self.text}
        self.shares = {colour: self._share(colour) for colour in COLOURS}

    def _share(self, colour):
        found = re.findall(rf"^ *rollout\.upstream-{colour}: *(\d+) *$", self.text, re.M)
        if len(found) != 1:
            raise Refused(f"{self.path}: not exactly one line `rollout.upstream-{colour}: NUMBER`")
        return int(found[0])

    @contextlib.contextmanager
    def alone(self):
        """No other rollout of this file begins until the block ends, and the file can be replaced."""
        try:
            folder = os.open(self.path.parent, os.O_RDONLY)
        except OSError as error:
            raise Refused(f"{self.path.parent} cannot be opened ({error.strerror})") from None
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(folder)
            raise Refused(f"another rollout of {self.path} is running; --now overtakes it") from None
        except OSError:
            # Some network file systems have no locks; whoever writes second is found out all the same.
            pass
        try:
            self.can_be_replaced()
            yield
        finally:
            os.close(folder)

    def can_be_replaced(self):
        """Tries it with what is there."""
        try:
            self._replace(self.text)
        except OSError as error:
            # A file that is mounted by itself has no place to which another could be renamed.
            advice = "; mount its folder instead of the file" if error.errno in (errno.EBUSY, errno.EXDEV) else ""
            raise Refused(f"{self.path} cannot be replaced ({error.strerror}){advice}") from None

    def must_be_ours(self):
        try:
            there = self.path.read_text(encoding="utf-8")
        except (OSError, ValueError):
            return
        if there not in self.ours:
            raise Overtaken(f"somebody else changed {self.path}, which is left so")

    def put(self, colour, share):
        """`share` percent for the colour, the rest for the other."""
        text = self.text
        for name in COLOURS:
            number = share if name == colour else 100 - share
            text = re.sub(rf"^( *rollout\.upstream-{name}:) *\d+ *$", rf"\1 {number}", text, flags=re.M)
        self._replace(text)

    def restore(self):
        """Puts back what was there at the beginning. Raises OSError if that cannot be done."""
        for attempt in range(RESTORES):
            try:
                return self._replace(self.text)
            except OSError as error:
                last = error
                time.sleep(0.2 * (attempt + 1))
        raise last

    def _replace(self, text):
        # Envoy must never see half a file, and watches for what is renamed into its folder. It may be another user: whoever
        # could read the old file can read the new one.
        new = self.path.with_name(f".{self.path.name}.new")
        with new.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(self.path, new)
        with contextlib.suppress(PermissionError):
            shutil.chown(new, self.path.stat().st_uid, self.path.stat().st_gid)
        # An interruption may come between any two of these.
        self.ours.add(text)
        os.replace(new, self.path)
        self.ours = {text}


class Prometheus:
    def __init__(self, url, cluster, labels):
        self.url = url.rstrip("/")
        self.selector = f'envoy_cluster_name="{cluster}"' + (f",{labels}" if labels else "")

    def query(self, expression):
        """The values of an expression, by their labels."""
        address = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        with urllib.request.urlopen(address, timeout=5) as answer:
            told = json.load(answer)
        values = [(entry["metric"], float(entry["value"][1])) for entry in told["data"]["result"]]
        if not all(math.isfinite(value) for _, value in values):
            raise ValueError(f"{expression} is no number")
        return values

    def counters(self):
        """What the cluster counted, by series: since a proxy's start, so only differences say something."""
        of = lambda name: self.query(f"{name}{{{self.selector}}}")
        series = {
            "requests": of("envoy_cluster_upstream_rq_total"),
            "answers": of("envoy_cluster_upstream_rq_xx"),
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


def is_error(series):
    return json.loads(series).get("envoy_response_code_class") == "5"


class Judgement:
    """What happened between: requests, the ratio of errors, the 95th percentile in milliseconds."""

    def __init__(self, before, now):
        unconnected = sum(grown(before, now, "unconnected").values())
        answers = grown(before, now, "answers")
        times = grown(before, now, "times")
        self.requests = sum(grown(before, now, "requests").values()) + unconnected
        errors = sum(value for series, value in answers.items() if is_error(series)) + unconnected
        self.ratio = min(1.0, errors / self.requests) if self.requests else 0.0
        self.p95 = quantile(times, 0.95)
        # A proxy that does not export these would pass everything.
        self.has_statuses = unconnected > 0 or any(answers.values())
        self.has_times = unconnected > 0 or any(times.values())

    def __str__(self):
        return f"{self.requests:.0f} requests, {self.ratio:.2%} failed, p95 {self.p95:.0f} ms"


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
        except NO_ANSWER as error:
            last = error
            time.sleep(0.5 * (attempt + 1))
    raise Failed(f"Prometheus ({prometheus.url}) does not answer: {last}")


def watch(weights, prometheus, options, before):
    """Returns when a step has been good for long enough."""
    began = seen = time.monotonic()
    while True:
        time.sleep(options.interval)
        weights.must_be_ours()
        now = asked(prometheus, prometheus.counters)
        told = Judgement(before, now)
        if told.requests >= ENOUGH_TO_FAIL and told.ratio > options.max_error_ratio:
            raise Failed(f"{told}: more than {options.max_error_ratio:.2%} failed")
        if told.requests >= ENOUGH_TO_FAIL and told.p95 > options.max_p95_ms:
            raise Failed(f"{told}: slower than {options.max_p95_ms:.0f} ms")
        held = time.monotonic() - began
        if now["requests"] or not before["requests"]:
            seen = time.monotonic()
        elif time.monotonic() - seen >= options.hold:
            raise Failed(f"for {options.hold:.0f} s Prometheus has seen nothing of {options.to}: does it still reach Envoy?")
        if held >= options.hold + options.flush and told.requests >= options.min_requests:
            _must_be_visible(told)
            return told
        if held >= options.hold * PATIENCE:
            raise Failed(f"{told}: fewer than {options.min_requests} requests in {held:.0f} s, too few to judge by")


def _must_be_visible(told):
    for has, metric in ((told.has_statuses, "envoy_cluster_upstream_rq_xx"), (told.has_times, "envoy_cluster_upstream_rq_time_bucket")):
        if not has:
            raise Failed(f"{told.requests:.0f} requests, of which {metric} tells nothing: does Envoy export it, and Prometheus keep it?")


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
        weights.must_be_ours()
        weights.put(options.to, step)
        say(f"{options.to} gets {step} %")
        say(f"{options.to} is good at {step} %: {watch(weights, prometheus, options, before)}")


def begin(options):
    weights = Weights(options.weights)
    if options.now:
        weights.can_be_replaced()
        weights.put(options.to, 100)
        say(f"{options.to} gets 100 %")
        return 0
    share = weights.shares[options.to]
    options.steps = [step for step in options.steps if step > share]
    if not options.steps:
        raise Refused(f"{options.to} has {share} % already; no step is beyond that")
    with weights.alone():
        prometheus = Prometheus(options.prometheus, f"upstream-{options.to}", options.labels)
        try:
            healthy = asked(prometheus, prometheus.healthy)
        except Failed as failed:
            raise Refused(str(failed)) from None
        except KeyboardInterrupt:
            raise Refused("interrupted before the first step") from None
        if not healthy:
            raise Refused(f"no host of upstream-{options.to} is healthy, as far as Prometheus knows")
        try:
            roll(weights, prometheus, options)
        except Overtaken as overtaken:
            say(f"ended: {overtaken}")
            return 1
        except BaseException as why:
            try:
                return take_back(weights, why)
            except KeyboardInterrupt:
                # The only one there is: see `interrupted`.
                return take_back(weights, why)
    say(f"done: {options.to} has {options.steps[-1]} %")
    return 0


def take_back(weights, why):
    ignore_signals()
    reason = why or type(why).__name__
    try:
        weights.must_be_ours()
        weights.restore()
    except Overtaken as overtaken:
        say(f"ended: {overtaken}; {reason}")
        return 1
    except OSError as error:
        say(f"NOT rolled back: {weights.path} cannot be replaced ({error.strerror}). Put {weights.shares} into it by hand. It was to go back because of: {reason}")
        return 3
    say(f"rolled back to {weights.shares}: {reason}")
    if isinstance(why, (Failed, KeyboardInterrupt, OSError)):
        return 1
    raise why


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


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def ignore_signals():
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def interrupted(*_):
    # Once: who is impatient and presses Ctrl-C again wants the same.
    ignore_signals()
    raise KeyboardInterrupt("interrupted")


def main():
    for number in SIGNALS:
        signal.signal(number, interrupted)
    try:
        return begin(read_options())
    except Refused as refused:
        print(f"rollout: {refused}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
