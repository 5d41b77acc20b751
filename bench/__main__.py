"""`python -m bench`: measure, print the table, save the results.

    python -m bench                          everything, about a quarter of an hour; writes bench/results/latest.json
    python -m bench --quick                  everything with short samples, a few minutes
    python -m bench --rows http-32 stdio     only the rows whose names begin with these prefixes
    python -m bench --contenders bare ...    only some servers
    python -m bench --before DIR ...         also the product of another checkout, which has its own .venv
    python -m bench --list                   the names of the rows
    python -m bench --markdown               the saved results as a Markdown table; measures nothing

Only a full run replaces bench/results/latest.json; `--output FILE` saves the results of any run.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from bench.contenders import BEFORE_VARIABLE, Contender, install_typescript_peer
from bench.cores import choose_cores
from bench.errors import BenchError
from bench.record import LATEST, document, load, save
from bench.report import markdown, table
from bench.rows import all_rows
from bench.run import FULL, QUICK, run_rows


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [contender.value for contender in Contender if contender is not Contender.BEFORE]
    parser.add_argument("--rows", nargs="+", metavar="NAME", help="rows whose names begin with one of these")
    parser.add_argument("--contenders", nargs="+", choices=names, default=names, help="servers to measure")
    parser.add_argument("--before", type=Path, metavar="DIR", help="another checkout of the product, measured as well")
    parser.add_argument("--quick", action="store_true", help="short samples and few rounds")
    parser.add_argument("--list", action="store_true", help="print the names of the rows and exit")
    parser.add_argument("--markdown", action="store_true", help="print the saved results in Markdown and exit")
    parser.add_argument("--output", type=Path, metavar="FILE", help="file for the results")
    return parser.parse_args()


def main() -> int:
    """Run the selected rows; return the exit code, which is 1 if a server failed, whatever the figures."""
    options = parse_arguments()
    rows = [row for row in all_rows() if not options.rows or row.name.startswith(tuple(options.rows))]
    if options.list:
        print("\n".join(f"{row.name:24} {row.title}" for row in rows))
        return 0
    if options.markdown:
        print(markdown(load(options.output or LATEST)))
        return 0
    if not rows:
        print(f"no row begins with {' or '.join(options.rows)}; see --list", file=sys.stderr)
        return 2
    contenders = {Contender(name) for name in options.contenders}
    if options.before is not None:
        os.environ[BEFORE_VARIABLE] = str(options.before)
        contenders.add(Contender.BEFORE)
    if Contender.TYPESCRIPT_SDK in contenders:
        try:
            install_typescript_peer()
        except BenchError as error:
            print(f"{error}; it is left out", file=sys.stderr)
            contenders.discard(Contender.TYPESCRIPT_SDK)
    cores = choose_cores()
    pace = QUICK if options.quick else FULL
    results = document(rows, run_rows(rows, contenders, cores, pace), cores, pace)
    print(table(results))
    full = not options.quick and not options.rows and contenders == set(Contender) - {Contender.BEFORE}
    path = options.output or (LATEST if full else None)
    if path is not None:
        save(results, path)
    return 1 if any(row["errors"] for row in results["rows"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
