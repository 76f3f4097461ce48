"""Reads metrics by Prometheus' own parser, and prints the samples as JSON."""

import json
import sys

from prometheus_client import parser

text = sys.stdin.buffer.read().decode()
samples = []
for family in parser.text_string_to_metric_families(text):
    if not family.documentation:
        sys.exit(f"{family.name} is not described")
    if family.type in ("unknown", "untyped"):
        sys.exit(f"{family.name} has no type")
    for sample in family.samples:
        samples.append({"name": sample.name, "labels": sample.labels, "value": sample.value})
json.dump(samples, sys.stdout)
