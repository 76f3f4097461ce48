"""A Matrix server on loopback: in the folder and at the port of its arguments, until standard input ends."""

import json
import os
import pathlib
import sys
import threading

from synapse.app.homeserver import main

folder = pathlib.Path(sys.argv[1])
listener = {
    "port": int(sys.argv[2]),
    "type": "http",
    "bind_addresses": ["127.0.0.1"],
    "resources": [{"names": ["client"]}],
}
configuration = folder / "homeserver.yaml"
configuration.write_text(
    json.dumps(
        {
            "server_name": "localhost",
            "report_stats": False,
            "listeners": [listener],
            "database": {"name": "sqlite3", "args": {"database": str(folder / "matrix.db")}},
            "media_store_path": str(folder / "media"),
            "signing_key_path": str(folder / "signing.key"),
            "trusted_key_servers": [],
            "enable_registration": True,
            "enable_registration_without_verification": True,
        }
    )
)
# The key is made by whoever starts a server for the first time; nobody else trusts it here.
(folder / "signing.key").write_text("ed25519 a_test " + "A" * 43 + "\n")


def end_with_input():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_input, daemon=True).start()
sys.argv = ["synapse", "--config-path", str(configuration)]
main()
