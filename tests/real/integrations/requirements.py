"""Prints what the integrations of an installed Home Assistant need that take application credentials."""

import json
from pathlib import Path

from homeassistant import components

COMPONENTS = Path(components.__path__[0])
# What their dependencies set up at once, and Home Assistant before any of them.
BEFORE = ["analytics", "backup", "cloud", "recorder", "stream"]


def main() -> None:
    """Follow the dependencies, and print each requirement once."""
    left = [file.parent.name for file in COMPONENTS.glob("*/application_credentials.py")] + BEFORE
    seen, needed = set(), set()
    while left:
        domain = left.pop()
        manifest = COMPONENTS / domain / "manifest.json"
        if domain in seen or not manifest.exists():
            continue
        seen.add(domain)
        read = json.loads(manifest.read_text())
        needed.update(read.get("requirements", []))
        left += read.get("dependencies", [])
        if domain == "bluetooth_adapters":
            left.append("bluetooth")
        # What a platform of it is imported with.
        left += [file.stem for file in manifest.parent.glob("*.py") if (COMPONENTS / file.stem).is_dir()]
    print("\n".join(sorted(needed)))


main()
