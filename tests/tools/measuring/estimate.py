"""Medians of paired differences, and how sure they are."""

import dataclasses
import random
import statistics

RESAMPLES = 2000
COVERAGE = 0.95


@dataclasses.dataclass(frozen=True)
class Estimate:
    middle: float
    low: float
    high: float


def difference(of, over):
    """What `of` adds to `over`, round by round: the median, with its bootstrap interval."""
    pairs = [a - b for a, b in zip(of, over)]
    return _bootstrap(len(pairs), lambda picked: statistics.median(pairs[i] for i in picked))


def ratio(of, over, base):
    """What `of` adds to `base` over what `over` adds to it. All three are resampled together, so that a slow round
    weighs on both halves."""
    upper = [a - b for a, b in zip(of, base)]
    lower = [a - b for a, b in zip(over, base)]

    def statistic(picked):
        return statistics.median(upper[i] for i in picked) / statistics.median(lower[i] for i in picked)

    return _bootstrap(len(upper), statistic)


def _bootstrap(rounds, statistic):
    pick = random.Random(1)
    resampled = sorted(statistic([pick.randrange(rounds) for _ in range(rounds)]) for _ in range(RESAMPLES))
    tail = int(RESAMPLES * (1 - COVERAGE) / 2)
    return Estimate(statistic(range(rounds)), resampled[tail], resampled[-1 - tail])
