"""Hosts for tests: network namespaces, which a switch connects. Each has an IP address and files of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.settings import PROJECT

NETWORK = "10.89.0"


class Hosts:
    """Network namespaces on one switch, and the processes in them."""

    def __init__(self, folder: Path, numbers: dict[str, int]) -> None:
        """Make a host for each name. Its IP address is `NETWORK` and its number.

        The test that asks is skipped where this machine does not allow network namespaces.
        """
        self.folder = folder
        self.addresses = {name: f"{NETWORK}.{number}" for name, number in numbers.items()}
        self._processes: list[subprocess.Popen[bytes]] = []
        self._prefix = f"lb{os.getpid()}"
        if shutil.which("ip") is None:
            pytest.skip("needs `ip` of iproute2 for network namespaces")
        self._namespaces: list[str] = []
        try:
            self._add("switch")
            self._ip("switch", "link", "add", "bridge", "type", "bridge")
            self._ip("switch", "link", "set", "bridge", "up")
            for name, number in numbers.items():
                self._add(name)
                self._connect(name, number)
        except subprocess.CalledProcessError as error:
            self.close()
            pytest.skip(f"this machine does not allow network namespaces: {error.stderr.strip()}")

    def home(self, host: str) -> Path:
        """Return the folder with the files of a host."""
        return self.folder / host

    def start(self, host: str, name: str, command: list[str], user: str | None = None, **environment: str) -> None:
        """Start a process on a host. Its log is `<host>/<name>.log`."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("LOOKBOOK_")}
        with (self.home(host) / f"{name}.log").open("ab") as log:
            # `setpriv` comes after `ip`, which needs the rights of root.
            as_user = ["setpriv", f"--reuid={user}", "--clear-groups"] if user else []
            process = subprocess.Popen(
                ["ip", "netns", "exec", self._namespace(host), *as_user, *command],
                cwd=PROJECT,
                env={**inherited, "PYTHONPATH": str(PROJECT), **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes.append(process)

    def lookbook(self, host: str, *arguments: str, **environment: str) -> None:
        """Start a process of Lookbook on a host."""
        self.start(host, arguments[-1].split(",")[0], [sys.executable, "-m", "cli", *arguments], **environment)

    def cut(self, host: str) -> None:
        """Take the cable of a host out of the switch. Nobody gets an error: packets just do not arrive."""
        self._ip("switch", "link", "set", f"p{self._number(host)}", "down")

    def heal(self, host: str) -> None:
        self._ip("switch", "link", "set", f"p{self._number(host)}", "up")

    def close(self) -> None:
        """End all processes and remove all namespaces."""
        for process in reversed(self._processes):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for namespace in self._namespaces:
            subprocess.run(["ip", "netns", "delete", namespace], check=False, capture_output=True)

    def _number(self, host: str) -> str:
        return self.addresses[host].rpartition(".")[2]

    def _namespace(self, host: str) -> str:
        return f"{self._prefix}-{host}"

    def _add(self, host: str) -> None:
        _run("ip", "netns", "add", self._namespace(host))
        self._namespaces.append(self._namespace(host))
        self._ip(host, "link", "set", "lo", "up")
        self.home(host).mkdir()
        # PostgreSQL runs as another user where root runs the tests.
        self.home(host).chmod(0o755)

    def _connect(self, host: str, number: int) -> None:
        port = f"p{number}"
        self._ip("switch", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", self._namespace(host))
        self._ip("switch", "link", "set", port, "master", "bridge", "up")
        self._ip(host, "address", "add", f"{NETWORK}.{number}/24", "dev", "eth0")
        self._ip(host, "link", "set", "eth0", "up")

    def _ip(self, host: str, *arguments: str) -> None:
        _run("ip", "-netns", self._namespace(host), *arguments)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
