"""Another real S3 server for the tests: Ceph's gateway before one monitor and one store in memory.

Its Debian packages are radosgw, ceph-mon and ceph-osd (`make test-ceph` installs them). Everything else is in one
folder.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from swift import S3Server, free_ports, stop

PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "monmaptool", "radosgw-admin", "ceph")
ACCESS_KEY, SECRET_KEY = "tests-key", "secret-of-the-tests"
START_SECONDS = 90.0

CONFIG = """
[global]
fsid = {fsid}
mon host = {monitor}
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
ms mon cluster mode = crc
ms mon service mode = crc
ms cluster mode = crc
ms service mode = crc
ms client mode = crc
public addr = 127.0.0.1
cluster addr = 127.0.0.1
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd objectstore = memstore
mon allow pool size one = true
run dir = {folder}
admin socket = {folder}/$name.asok
pid file = {folder}/$name.pid
log file = {folder}/$name.log
mon data = {folder}/mon
osd data = {folder}/osd
"""


def missing() -> list[str]:
    """Returns the programs that are not installed."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[S3Server]:
    """Runs the server below `folder` until the context ends. Raises RuntimeError where it does not come up."""
    one, other, gateway = free_ports(3)
    monitor, fsid, store = f"[v2:127.0.0.1:{one},v1:127.0.0.1:{other}]", str(uuid.uuid4()), str(uuid.uuid4())
    config = folder / "ceph.conf"
    config.write_text(CONFIG.format(fsid=fsid, monitor=monitor, folder=folder))
    for name in ("mon", "osd"):
        (folder / name).mkdir()

    def run(program: str, *arguments: str) -> None:
        command = [program, "-c", str(config), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")

    with contextlib.ExitStack() as stack:

        def start(program: str, *arguments: str) -> None:
            log = stack.enter_context((folder / f"{program}.out").open("wb"))
            command = [program, "-c", str(config), "-f", *arguments]
            stack.callback(stop, subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))

        monmap = str(folder / "monmap")
        run("monmaptool", "--create", "--addv", "a", monitor, "--fsid", fsid, monmap)
        run("ceph-mon", "-i", "a", "--mkfs", "--monmap", monmap)
        start("ceph-mon", "-i", "a")
        run("ceph", "osd", "new", store)
        run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", store)
        start("ceph-osd", "-i", "0")
        start("radosgw", "-n", "client.rgw", "--rgw-frontends", f"beast endpoint=127.0.0.1:{gateway} tcp_nodelay=1")
        _await(gateway, folder)
        keys = ["--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY]
        run("radosgw-admin", "user", "create", "--uid", "tests", "--display-name", "tests", *keys)
        yield S3Server(f"http://127.0.0.1:{gateway}", ACCESS_KEY, SECRET_KEY)


def _await(port: int, folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if time.monotonic() > deadline:
            logs = "\n".join(f"{path.name}: {path.read_text()[-2000:]}" for path in sorted(folder.glob("*.out")))
            raise RuntimeError(f"the S3 server of the tests did not start\n{logs}")
        time.sleep(0.2)
