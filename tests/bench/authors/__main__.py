"""The benchmark `authors`: what a hello plugin costs in each language, with our SDK and without."""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from authors.measure import Plugind, Sample
from authors.subjects import LANGUAGES, MAKERS, VARIANTS, Absent, Subject

METRICS = {
    "start_ms": "start to READY, ms",
    "private_mib": "private memory, MiB",
    "call_us": "a call, p50, us",
}
# What the SDK may add to the floor by hand.
AIMS = {"start_ms": 5.0, "private_mib": 2.0}


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.sh authors", description=__doc__)
    parser.add_argument("--build", type=Path, required=True, help="the build directory")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here")
    parser.add_argument("--samples", type=int, help="starts of each program (default 30, quick 2)")
    parser.add_argument("--quick", action="store_true", help="shows that all of it works")
    parser.add_argument(
        "--languages",
        type=lambda text: text.split(","),
        default=list(LANGUAGES),
        help=f"only these, separated by commas: {', '.join(LANGUAGES)}",
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.languages).difference(LANGUAGES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    options.samples = options.samples or (2 if options.quick else 30)
    return options


def figures(samples: dict[str, list[Sample]], language: str) -> dict[str, dict[str, float]]:
    """Medians of each variant, and the median of the differences of the rounds."""
    with_sdk, plain = (samples[f"{language}-{variant}"] for variant in VARIANTS)
    found = {}
    for metric in METRICS:
        ours = [getattr(one, metric) for one in with_sdk]
        theirs = [getattr(one, metric) for one in plain]
        found[metric] = {
            "sdk": median(ours),
            "plain": median(theirs),
            "added": median(a - b for a, b in zip(ours, theirs)),
        }
    return found


def table(results: dict[str, Any]) -> str:
    lines = [f"{'':24}" + "".join(f"{head:>12}" for head in ("with SDK", "by hand", "added", "aim"))]
    for language, found in results["languages"].items():
        if isinstance(found, str):
            lines.append(f"{language}: {found}")
            continue
        for metric, title in METRICS.items():
            figure = found[metric]
            aim = AIMS.get(metric)
            verdict = "" if aim is None else f"<= {aim:g} {'met' if figure['added'] <= aim else 'MISSED'}"
            lines.append(
                f"{language + ': ' + title:24.24}"
                + "".join(f"{figure[key]:12.2f}" for key in ("sdk", "plain", "added"))
                + f"{verdict:>14}"
            )
    return "\n".join(lines)


def main() -> int:
    options = parse(sys.argv[1:])
    build = options.build.resolve()
    results: dict[str, Any] = {
        "conditions": {"samples": options.samples, "load_before": os.getloadavg()},
        "languages": {},
    }
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        subjects: list[Subject] = []
        for language in options.languages:
            made = Path(directory) / "made"
            made.mkdir(exist_ok=True)
            try:
                subjects += MAKERS[language](build, made)
            except Absent as why:
                results["languages"][language] = f"SKIPPED: {why}"
        samples: dict[str, list[Sample]] = {subject.name: [] for subject in subjects}
        plugind = Plugind(build, Path(directory), subjects)
        try:
            for _ in range(options.samples):
                # In another order each time, so that nobody has the machine in a better moment.
                for subject in random.sample(subjects, len(subjects)):
                    calls = 20 if options.quick else 200
                    samples[subject.name].append(plugind.sample(subject, calls))
        finally:
            plugind.close()
    for language in dict.fromkeys(subject.language for subject in subjects):
        results["languages"][language] = figures(samples, language)
    results["conditions"]["load_after"] = os.getloadavg()
    results["samples"] = {name: [asdict(one) for one in all_] for name, all_ in samples.items()}
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    print(f"Load before and after: {results['conditions']['load_before'][0]:.2f}, "
          f"{results['conditions']['load_after'][0]:.2f}; {options.samples} starts of each")
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
