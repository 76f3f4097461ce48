"""Prints the Python packages that HA's integrations need which the tests load.

HA installs these at its start; doing it once, before, keeps starts quick and off the network.
"""

import importlib.util
import json
from pathlib import Path

# What HA always loads, and some integrations that take credentials and need little.
INTEGRATIONS = [
    "analytics",
    "application_credentials",
    "automation",
    "backup",
    "config",
    "frontend",
    "hardware",
    "network",
    "onboarding",
    "person",
    "recorder",
    "repairs",
    "system_health",
    "fitbit",
    "home_connect",
    "microbees",
    "myuplink",
    "spotify",
    "twitch",
]

# A module of our own stands in for these.
REPLACED = "home-assistant-frontend"


def manifest(integration: str) -> dict:
    """What an integration says of itself."""
    home = Path(importlib.util.find_spec("homeassistant").origin).parent
    return json.loads((home / "components" / integration / "manifest.json").read_text())


def main() -> None:
    """Follow the dependencies."""
    waiting, seen, packages = list(INTEGRATIONS), set(), set()
    while waiting:
        integration = waiting.pop()
        if integration in seen:
            continue
        seen.add(integration)
        said = manifest(integration)
        waiting += said.get("dependencies", [])
        packages |= set(said.get("requirements", []))
    for package in sorted(packages):
        if not package.startswith(REPLACED):
            print(package)


main()
