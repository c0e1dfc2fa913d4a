"""A real S3 server for the tests: OpenStack Swift with its s3api, from the `.swift` environment.

Four processes (proxy, account, container, object) on free loopback ports, everything else in one folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SWIFT = REPOSITORY / ".swift"
ACCESS_KEY, SECRET_KEY = "demo:user", "secret-of-the-tests"

FILTERS = (
    "catch_errors",
    "gatekeeper",
    "listing_formats",
    "s3api",
    "tempauth",
    "copy",
    "slo",
    "dlo",
    "symlink",
)

# One process for the three rings: `swift-ring-builder` would start nine.
BUILD_RINGS = """
import sys
from swift.common.ring import RingBuilder
folder = sys.argv[1]
for name, port in zip(("account", "container", "object"), sys.argv[2:]):
    builder = RingBuilder(4, 1, 0)
    address = dict(ip="127.0.0.1", port=int(port), replication_ip="127.0.0.1", replication_port=int(port))
    builder.add_dev(dict(id=0, region=1, zone=1, device="disk", weight=1.0, meta="", **address))
    builder.rebalance()
    builder.get_ring().save(f"{folder}/{name}.ring.gz")
"""


@dataclasses.dataclass(frozen=True, slots=True)
class S3Server:
    endpoint: str
    access_key: str
    secret_key: str

    def environment(self) -> dict[str, str]:
        """What a process needs to reach it, as the AWS clients read it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[S3Server]:
    """Run the server below `folder` until the context ends. Raises RuntimeError where it does not come up."""
    proxy, *storage = free_ports(4)
    (folder / "devices" / "disk").mkdir(parents=True)
    _configure(folder, proxy, storage)
    subprocess.run(
        [SWIFT / "bin" / "python", "-c", BUILD_RINGS, str(folder), *map(str, storage)],
        check=True,
        capture_output=True,
    )
    processes = []
    with contextlib.ExitStack() as stack:
        for name in ("account", "container", "object", "proxy"):
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            command = [
                SWIFT / "bin" / "python",
                "-W",
                "ignore",
                SWIFT / "bin" / f"swift-{name}-server",
                f"{name}.conf",
            ]
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
            stack.callback(stop, process)
            processes.append(process)
        _await_ready([proxy, *storage], processes, folder)
        yield S3Server(f"http://127.0.0.1:{proxy}", ACCESS_KEY, SECRET_KEY)


def _configure(folder: Path, proxy: int, storage: list[int]) -> None:
    (folder / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_suffix = tests\nswift_hash_path_prefix = tests\n"
        "[storage-policy:0]\nname = gold\ndefault = yes\n"
    )
    common = (
        f"[DEFAULT]\nbind_ip = 127.0.0.1\nworkers = 0\nswift_dir = {folder}\nuser = {getpass.getuser()}\n"
        f"devices = {folder / 'devices'}\nmount_check = false\nlog_level = ERROR\n"
    )
    for name, port in zip(("account", "container", "object"), storage, strict=True):
        (folder / f"{name}.conf").write_text(
            f"{common}bind_port = {port}\nfallocate_reserve = 0\ndisable_fallocate = true\n"
            f"[pipeline:main]\npipeline = {name}-server\n[app:{name}-server]\nuse = egg:swift#{name}\n"
        )
    options = {
        "s3api": "s3_acl = false\nlocation = us-east-1\nmax_bucket_listing = 10\n",
        "tempauth": f"user_demo_user = {SECRET_KEY} .admin\n",
    }
    (folder / "proxy.conf").write_text(
        f"{common}bind_port = {proxy}\n[pipeline:main]\npipeline = {' '.join(FILTERS)} proxy-server\n"
        "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n"
        + "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n{options.get(name, '')}" for name in FILTERS)
    )


def _await_ready(ports: list[int], processes: list[subprocess.Popen[bytes]], folder: Path) -> None:
    deadline = time.monotonic() + 60
    waiting = list(ports)
    while waiting:
        if any(process.poll() is not None for process in processes) or time.monotonic() > deadline:
            logs = "\n".join(f"{path.name}: {path.read_text()[-2000:]}" for path in sorted(folder.glob("*.log")))
            raise RuntimeError(f"the S3 server of the tests did not start\n{logs}")
        if _answers(waiting[0]):
            waiting.pop(0)
        else:
            time.sleep(0.05)


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthcheck", timeout=5).close()
    except urllib.error.HTTPError as error:
        error.close()  # any HTTP answer will do
    except OSError:
        return False
    return True


def free_ports(count: int) -> list[int]:
    """Returns loopback ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a process, at once if it must be."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
