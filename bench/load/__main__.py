"""`python -m bench.load`: hold, flood and drop many connections; print the cost for the server and save the results.

    python -m bench.load                      everything, about a quarter of an hour; writes bench/results/load.json
    python -m bench.load idle-sse churn       only the campaigns whose names begin with these prefixes
    python -m bench.load --only hostile-search   the campaigns of exactly these names
    python -m bench.load --list               the names of the campaigns
    python -m bench.load --markdown           the saved results as a Markdown table; measures nothing

Only a full run replaces bench/results/load.json; `--output FILE` saves the results of any run. The exit code is 1 when
a target was missed or a campaign failed.
"""

from __future__ import annotations

import argparse
import gc
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.cores import Cores, choose_cores
from bench.errors import BenchError
from bench.load.campaigns import Campaign, all_campaigns
from bench.load.record import LATEST, CampaignResult, all_reached, campaign_result, document, load, save
from bench.load.report import markdown, table
from bench.run import reason

DESCRIPTORS = 8_192
LIMIT_SECONDS = 1_800.0


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="campaigns whose names begin with one of these")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[], help="campaigns of exactly these names")
    parser.add_argument("--list", action="store_true", help="print the names of the campaigns and exit")
    parser.add_argument("--markdown", action="store_true", help="print the saved results in Markdown and exit")
    parser.add_argument("--output", type=Path, metavar="FILE", help="file for the results")
    return parser.parse_args()


def main() -> int:
    """Run the selected campaigns; return the exit code."""
    options = parse_arguments()
    campaigns = chosen(options.names, options.only)
    if options.list:
        print("\n".join(f"{campaign.name:32} {campaign.title}" for campaign in campaigns))
        return 0
    if options.markdown:
        print(markdown(load(options.output or LATEST)))
        return 0
    if not campaigns:
        print(f"no campaign is named {' or '.join([*options.names, *options.only])}; see --list", file=sys.stderr)
        return 2
    try:
        allow_descriptors()
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    cores = choose_cores()
    results = document(run_all(campaigns, cores), cores)
    print(table(results))
    path = options.output or (None if options.names or options.only else LATEST)
    if path is not None:
        save(results, path)
    complete = len(results["campaigns"]) == len(campaigns)
    return 0 if complete and all_reached(results) else 1


def chosen(beginnings: Sequence[str], names: Sequence[str]) -> list[Campaign]:
    """The campaigns whose names begin with one of `beginnings` or are in `names`; all of them when both are empty."""
    everything = not beginnings and not names
    return [
        campaign
        for campaign in all_campaigns()
        if everything or campaign.name in names or (beginnings and campaign.name.startswith(tuple(beginnings)))
    ]


def allow_descriptors() -> None:
    """Raise the limit of open files for this process and its servers to what the campaigns need.

    Raises:
        BenchError: the system does not allow it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= DESCRIPTORS:
        return
    if hard not in (resource.RLIM_INFINITY,) and hard < DESCRIPTORS:
        raise BenchError(f"{DESCRIPTORS} open files are needed and the system allows {hard} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))


def run_all(campaigns: Sequence[Campaign], cores: Cores) -> dict[str, CampaignResult]:
    """Run campaigns one after the other; skip the rest when the time limit of the run is over."""
    cores.pin_generator()
    begin = time.monotonic()
    found: dict[str, CampaignResult] = {}
    for position, campaign in enumerate(campaigns, 1):
        passed = time.monotonic() - begin
        if passed > LIMIT_SECONDS:
            print(f"no time left for {campaign.name} and what follows it", file=sys.stderr)
            break
        print(f"[{position}/{len(campaigns)}] {passed:4.0f} s  {campaign.name}", file=sys.stderr)
        found[campaign.name] = run_one(campaign, cores)
        gc.collect()
    return found


def run_one(campaign: Campaign, cores: Cores) -> CampaignResult:
    """Run a campaign; return its figures, or its error as the result."""
    begin = time.monotonic()
    try:
        figures = campaign.run(cores)
    except (BenchError, OSError, RuntimeError) as error:  # RuntimeError: a closed connection or exhausted resources
        print(f"  {campaign.name}: {reason(error)}", file=sys.stderr)
        return campaign_result(campaign, [], time.monotonic() - begin, reason(error).splitlines()[0])
    return campaign_result(campaign, figures, time.monotonic() - begin, None)


if __name__ == "__main__":
    sys.exit(main())
