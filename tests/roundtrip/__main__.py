"""`python -m tests.roundtrip`: read and edit thousands of real files through the running server, byte for byte.

    python -m tests.roundtrip --files 4000 --cache .roundtrip

Reads each file by following the hints of truncated results, replaces a few characters at a random place, and compares
the text and the edited file with what they must be. A file that is not text in its named encoding must be refused and
stay as it is. Prints the differences and one line with the figures; the exit code is 1 when there is a difference.
"""

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from tests.roundtrip.fixtures import Fixture, fetch, fixtures
from tests.roundtrip.trip import DifferenceError, RoundTrip
from tests.support.stdio_client import stdio_client

MOST_BYTES = 64 << 20
SHOWN = 20  # differences that are printed


def main(arguments: Sequence[str]) -> int:
    """Run the campaign and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.roundtrip", description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=4000, help="number of files")
    parser.add_argument("--cache", type=Path, default=Path(".roundtrip"), help="directory for the packages")
    parser.add_argument("--seed", type=int, default=1, help="seed of the places of the edits")
    options = parser.parse_args(arguments)
    fetch(options.cache)
    chosen = fixtures(options.cache, options.files)
    if len(chosen) < options.files:
        print(f"only {len(chosen)} of {options.files} files are there: fetch more packages", file=sys.stderr)
        return 1
    began = monotonic()
    outcomes, differences = run(chosen, options.seed)
    for difference in differences[:SHOWN]:
        print(difference)
    counted = ", ".join(f"{outcome} {number}" for outcome, number in sorted(outcomes.items()))
    size = sum(len(fixture.data) for fixture in chosen) / 1e6
    print(
        f"{len(chosen)} files ({size:.0f} MB) in {len({fixture.encoding for fixture in chosen})} encodings: {counted}, "
        f"differences {len(differences)}; {monotonic() - began:.0f} s"
    )
    return 1 if differences else 0


def run(chosen: Sequence[Fixture], seed: int) -> tuple[Counter[str], list[str]]:
    """Return the numbers of the outcomes, and a description of each difference."""
    outcomes: Counter[str] = Counter()
    differences: list[str] = []
    with tempfile.TemporaryDirectory() as root:
        files = {"roots": [root], "max_write_bytes": MOST_BYTES}
        with stdio_client({"files": files, "logging": {"level": "warning"}}) as client:
            client.handshake()
            for fixture in chosen:
                trip = RoundTrip(client, Path(root), fixture, random.Random(f"{seed} {fixture.name}"))
                try:
                    outcomes[trip.run()] += 1
                except DifferenceError as difference:
                    differences.append(f"{fixture.name} ({fixture.encoding}): {difference}")
    return outcomes, differences


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
