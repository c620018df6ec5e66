"""The gateway of the kill test: for every line of input a new process that updates until it is killed.

The processes are forked from this one, which has loaded everything and done nothing: starting Python each time would
take most of the test's time.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from edge.pieces import GatewayIdentity
from edge.sync import Synchroniser, SyncSettings


def main() -> None:
    settings = SyncSettings.model_validate_json(Path(sys.argv[1]).read_text())
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # standard output is for the pids
            gateway = Synchroniser(settings, GatewayIdentity(settings.gateway, settings.gateway.encode().ljust(32)))
            while True:
                gateway.update()
        print(child, flush=True)
        os.waitpid(child, 0)
        print("killed", flush=True)


if __name__ == "__main__":
    main()
