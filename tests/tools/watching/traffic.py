"""Clients of the shipped proxy: good ones, and of each kind of bad ones some."""

import http.client
import itertools
import ssl
import threading
import time

FORGED = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
# (method, target, headers). They come round and round; the numbers say how often in a round.
ROUND = [
    *[("GET", "/text", {})] * 40,
    *[("GET", "/json", {"X-Api-Key": "demo-professional"})] * 20,
    *[("GET", "/text", {"X-Api-Key": "demo-free"})] * 10,
    *[("GET", "/leaky", {})] * 5,
    *[("GET", "/web/html", {})] * 5,
    *[("GET", "/web/cookies", {})] * 5,
    *[("GET", "/status/404", {})] * 5,
    *[("GET", "/text", {"Origin": "https://app.example.com"})] * 3,
    ("POST", "/web/transfer", FORGED),
    ("GET", "/delay/1200", {}),
    ("POST", "/status/500", {}),
    ("POST", "/status/502", {}),
]
FAILURE = ("POST", "/status/500", {})


class Clients:
    """Some clients, one after the other's answer, until they are stopped. Of `failing` of a hundred requests the upstream
    makes a failure."""

    def __init__(self, port, number=4):
        self.failing = 0
        self.sent = itertools.count()
        self.statuses = {}
        self.port = port
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(number)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        # The certificate is one that nobody else signed.
        trust = ssl._create_unverified_context()
        connection = None
        while not self.stopped.is_set():
            number = next(self.sent)
            method, target, headers = FAILURE if number % 100 < self.failing else ROUND[number * 7 % len(ROUND)]
            try:
                connection = connection or http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=trust)
                connection.request(method, target, body=b"x" if method == "POST" else None, headers=headers)
                answer = connection.getresponse()
                answer.read()
                self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
            except (OSError, http.client.HTTPException):
                # A proxy that takes new settings ends connections.
                connection and connection.close()
                connection = None
            # Enough for every rate; the machine has other things to do.
            time.sleep(0.01)

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join(15)
