"""A real Prometheus that scrapes a port of the loopback interface, and its query API.

Owns its configuration, its data and its process. Knows nothing of MCP and no metric.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.processes import LOOPBACK, Child, free_port
from tests.support.programs import await_answer, path_of, program

SCRAPE_SECONDS = 0.2


@dataclass(frozen=True)
class Sample:
    """One value of a query result, with its labels."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    child: Child
    port: int

    @property
    def url(self) -> str:
        """The base URL of its API."""
        return f"http://{LOOPBACK}:{self.port}"

    def query(self, promql: str) -> Sequence[Sample]:
        """Evaluate an expression and return one sample for each set of labels.

        Raises:
            ValueError: Prometheus rejects the expression; the message says why.
        """
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": promql}, timeout=PATIENCE, trust_env=False)
        told = answer.json()
        if told["status"] != "success":
            raise ValueError(f"{promql}: {told['error']}")
        kind, result = told["data"]["resultType"], told["data"]["result"]
        if kind == "scalar":
            return (Sample({}, float(result[1])),)
        return tuple(Sample(one["metric"], float(one["value"][1])) for one in result)

    def wait_for(
        self, promql: str, fits: Callable[[Sequence[Sample]], object] = bool, seconds: float = 2 * PATIENCE
    ) -> Sequence[Sample]:
        """Poll an expression and return its samples as soon as they fit; by default, as soon as there is one.

        Raises:
            TimeoutError: the samples do not fit within `seconds`.
        """
        seen: Sequence[Sample] = ()

        def look() -> bool:
            nonlocal seen
            seen = self.query(promql)
            return bool(fits(seen))

        try:
            wait_until(look, promql, seconds)
        except TimeoutError as problem:
            raise TimeoutError(f"{problem}; last seen: {seen}") from None
        return seen


@contextmanager
def prometheus(directory: Path, target: int, *, job: str = "tfo-mcp", path: str = "/metrics") -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes `path` at a port of this machine, five times a second, until the end of the block.

    Args:
        directory: an empty directory for its configuration and its data.
        target: the port that it scrapes.
        job: the label `job` of the scraped samples.
        path: the path of the metrics.

    Raises:
        StartError: Prometheus is not installed or does not become ready.
    """
    interval = f"{SCRAPE_SECONDS * 1000:.0f}ms"
    settings = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": [
            {"job_name": job, "metrics_path": path, "static_configs": [{"targets": [f"{LOOPBACK}:{target}"]}]}
        ],
    }
    file = directory / "prometheus.yml"
    file.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
    port = free_port()
    line = [
        path_of("prometheus"),
        f"--config.file={file}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={LOOPBACK}:{port}",
        "--log.level=warn",
    ]
    with program(line, directory) as running:
        server = Prometheus(running, port)
        await_answer(running, f"{server.url}/-/ready")
        yield server
