"""Two workers that count for one client, and for many: what the compare-and-swap loop costs where it is contended."""

import os
import re
import subprocess
import time

from console import Failure, say
from measuring import variants
from measuring.proxy import Proxy

WORKERS = 2
# Clients at the same time, each a process with one connection: h2load sends one key to all.
CLIENTS = 8
KEY = "5c1f9d0e7ab84f6fb1c2d3e4f5a6"
WARM_UP_ROUNDS = 2


def _burst(proxy, requests, keys):
    """Seconds until every client had its answers. Client n sends the key of that number, round and round."""
    each = requests // CLIENTS
    began = time.monotonic()
    clients = []
    for at in range(CLIENTS):
        header = f"{variants.KEY_HEADER}: {KEY}{at % keys:04}"
        command = ["h2load", "--h1", "-n", str(each), "-c", "1", "-t", "1", "-H", header, proxy.url]
        clients.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    answers = [client.communicate()[0] for client in clients]
    seconds = time.monotonic() - began
    for client, told in zip(clients, answers):
        good = re.search(r"^status codes:.*?(\d+) 2xx", told, re.M)
        if client.returncode or not good or int(good.group(1)) != each:
            raise Failure(f"h2load with {keys} keys: {told.strip().splitlines()[-1:] or 'no output'}")
    return seconds


def measure(rounds, requests):
    """Seconds per round with one key, and with one for each client."""
    cores = ",".join(str(core) for core in sorted(os.sched_getaffinity(0))[:WORKERS])
    proxy = Proxy(variants.contended(), cores, workers=WORKERS)
    hot, many = [], []
    try:
        proxy.wait()
        say(f"    {WORKERS} workers, {CLIENTS} clients; {rounds} rounds of {requests} requests with one key and with {CLIENTS}")
        for at in range(-WARM_UP_ROUNDS, rounds):
            order = [(1, hot), (CLIENTS, many)]
            for keys, into in order if at % 2 else reversed(order):
                seconds = _burst(proxy, requests, keys)
                if at >= 0:
                    into.append(seconds)
    finally:
        proxy.stop()
    return hot, many
