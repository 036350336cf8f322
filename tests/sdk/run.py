#!/usr/bin/env python3
"""The real Python SDK, in two versions, against a node.

    run.py                 start target/release/headcount (or $HEADCOUNT_BIN) on a free port, and stop it at the end
    run.py HOST:PORT       use the node that runs there

Each version lives in its own venv below target/sdk, made once. Prints every step and, last, `N passed, N failed`;
exit code 1 on a failure. Only the standard library is used here; the steps are in naming.py.
"""

import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
VERSIONS = {"0.1.14": "==0.1.14", "newest-0.1": ">=0.1.17,<0.2"}
STEPS_SECONDS_MAX = 180
READY_SECONDS_MAX = 30
STOP_SECONDS_MAX = 12


def venv_python(name, spec):
    """The Python of the venv that holds `nacos-sdk-python` as `spec` asks; made when it is not there whole."""
    folder = TARGET / "sdk" / name
    python = folder / "bin" / "python"
    whole = folder / "installed"
    if not whole.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"nacos-sdk-python{spec}"]
        subprocess.run(install, check=True)
        whole.touch()
    return python


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_ready(server):
    try:
        with urllib.request.urlopen(f"http://{server}/nacos/v1/console/health/readiness", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


class Node:
    """A node of our own in a folder of its own; gone, process and folder, when the block ends."""

    def __enter__(self):
        binary = os.environ.get("HEADCOUNT_BIN", TARGET / "release" / "headcount")
        self.folder = tempfile.TemporaryDirectory(prefix="headcount-sdk-")
        self.log = open(pathlib.Path(self.folder.name) / "log", "w+", encoding="utf-8", errors="replace")
        self.server = f"127.0.0.1:{free_port()}"
        config = pathlib.Path(self.folder.name) / "config"
        config.mkdir()
        flags = ["--bind", "127.0.0.1", "--port", self.server.split(":")[1]]
        flags += ["--data-dir", f"{self.folder.name}/data", "--config-dir", config]
        ours = ("HEADCOUNT_", "NACOS_", "MODE", "MEMBER_LIST", "SERVER_SERVLET", "PREFER_HOST_MODE")
        env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self.process = subprocess.Popen([binary, *flags], env=env, stdout=self.log, stderr=subprocess.STDOUT)
        end = time.monotonic() + READY_SECONDS_MAX
        while not is_ready(self.server):
            stopped = self.process.poll()
            if stopped is not None or time.monotonic() > end:
                self.__exit__(None, None, None, show_log=True)
                why = f"not ready within {READY_SECONDS_MAX} s" if stopped is None else f"ended with {stopped}"
                raise SystemExit(f"{binary}: {why}; its log is above")
            time.sleep(0.05)
        return self

    def __exit__(self, *_, show_log=False):
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            show_log = True
            print(f"the node did not stop within {STOP_SECONDS_MAX} s of SIGTERM", flush=True)
        if show_log:
            self.log.seek(0)
            print(self.log.read()[-8000:], flush=True)
        self.log.close()
        self.folder.cleanup()


def run_steps(server):
    passed = failed = 0
    for name, spec in VERSIONS.items():
        python = venv_python(name, spec)
        command = [python, "-W", "ignore", HERE / "naming.py", server]
        try:
            run = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=STEPS_SECONDS_MAX, check=False)
            output = run.stdout
        except subprocess.TimeoutExpired as late:
            output = late.stdout or b""
            output = output if isinstance(output, str) else output.decode("utf-8", "replace")
            output += f"not done within {STEPS_SECONDS_MAX} s\n"
        print(output, end="", flush=True)
        counts = re.search(r"^(\d+) passed, (\d+) failed$", output, re.MULTILINE)
        passed += int(counts[1]) if counts else 0
        failed += int(counts[2]) if counts else 1  # no count: it broke off
    return passed, failed


def main():
    if len(sys.argv) > 1:
        server = re.sub(r"^https?://|/.*$", "", sys.argv[1])
        passed, failed = run_steps(server)
    else:
        for name, spec in VERSIONS.items():
            venv_python(name, spec)
        with Node() as node:
            passed, failed = run_steps(node.server)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
