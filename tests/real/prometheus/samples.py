"""Reads metrics by Prometheus' own parser, and prints the samples as JSON."""

import json
import sys

from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

text = sys.stdin.buffer.read().decode()
families = {
    "openmetrics": openmetrics_parser.text_string_to_metric_families,
    "text": parser.text_string_to_metric_families,
}[sys.argv[1]](text)
samples = []
for family in families:
    if not family.documentation:
        sys.exit(f"{family.name} is not described")
    if family.type in ("unknown", "untyped"):
        sys.exit(f"{family.name} has no type")
    for sample in family.samples:
        samples.append({"name": sample.name, "labels": sample.labels, "value": sample.value})
json.dump(samples, sys.stdout)
