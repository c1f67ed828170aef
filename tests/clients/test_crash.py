"""The node is killed over and over under mixed load, and what it acknowledged is compared after each restart.

CRASH_SECONDS says how long (15 by default, 120 in CI), CRASH_SEED repeats the choices of a run.
"""

import os
import random
import time

import pytest

from load import Load

SECONDS = float(os.environ.get("CRASH_SECONDS") or (120 if os.environ.get("CI") == "true" else 15))
SEED = int(os.environ.get("CRASH_SEED") or random.SystemRandom().randrange(1 << 32))
START_SECONDS_MAX = 10

pytestmark = [pytest.mark.local, pytest.mark.timeout(SECONDS + 120)]


@pytest.mark.parametrize("durability, share", [("strict", 2 / 3), ("relaxed", 1 / 3)])
def test_kills_under_load(node_factory, capsys, durability, share):
    tell(capsys, f"CRASH_SEED={SEED}, {durability}, {SECONDS * share:.0f} s")
    rng = random.Random(f"{SEED} {durability}")
    node = node_factory(DURABILITY=durability, MULTIPART_MIN_PART_SIZE=1, JOURNAL_SEGMENT_BYTES=4 << 20)
    load = Load(node, rng)
    began, rounds, longest = time.monotonic(), 0, 0
    while time.monotonic() - began < SECONDS * share:
        # Some kills come before anything was done, and some rounds end in order.
        load.run(rng.choice([0.05, 0.3, 1, 1, 2, 4]) * rng.random(), node.stop if rng.random() < 0.1 else node.kill)
        node.env["INLINE_BODY_BYTES"] = str(rng.choice([0, 4096, 131_072, 1 << 20]))
        for _ in range(rng.choice([0, 0, 0, 1, 3])):
            node.launch()
            time.sleep(rng.uniform(0, 0.4))
            node.kill()
        longest = max(longest, timed(node.start))
        assert longest < START_SECONDS_MAX, f"the start took {longest:.1f} s"
        load.settle()
        rounds += 1
    load.end_uploads()
    node.stop()
    load.check_files()
    tell(capsys, f"{rounds} rounds, {load.writes} writes, {load.reads} reads, longest start {longest:.1f} s")
    assert rounds > 1 and load.writes > 20 * rounds, "too little was tried"


def timed(work):
    began = time.monotonic()
    work()
    return time.monotonic() - began


def tell(capsys, text):
    with capsys.disabled():
        print(f"\n{text}")
