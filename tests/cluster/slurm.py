"""A SLURM cluster of one node on loopback, for tests and for trying the profile by hand; needs root, no systemd.

    python tests/cluster/slurm.py start [--accounting] [--install]
    python tests/cluster/slurm.py status
    python tests/cluster/slurm.py stop

The node pretends to have more cores and memory than it has and four GPUs, which are harmless character devices. The
configuration is in /etc/slurm, because a job step of Snakemake drops SLURM_CONF; one that is not ours is left alone.
"""

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PACKAGES = ("munge", "slurm-wlm", "slurmdbd", "mariadb-server")
PROGRAMS = ("munged", "slurmctld", "slurmd")
DATABASE_PROGRAMS = ("mariadbd", "mariadb-install-db", "mariadb", "slurmdbd")
MARK = "# Written by robust3d's tests/cluster/slurm.py"
ETC = Path("/etc/slurm")
STATE = Path("/run/robust3d-slurm")
DATABASE_PORT = 23306
CPUS, MEMORY_MB, GPUS = 24, 1_000_000, 4

SLURM_CONF = """{mark}
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
# The node's cores and memory are made up.
SlurmdParameters=config_overrides
GresTypes=gpu
MinJobAge=7200
KillWait=8
CompleteWait=0
InactiveLimit=0
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,bf_interval=1,sched_interval=1
StateSaveLocation={state}/state
SlurmdSpoolDir={state}/spool
SlurmctldPidFile={state}/slurmctld.file.pid
SlurmdPidFile={state}/slurmd.file.pid
SlurmctldLogFile={state}/slurmctld.log
SlurmdLogFile={state}/slurmd.log
{accounting}
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:toy:{gpus} State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes={host} MaxTime=INFINITE State=UP
"""
WITHOUT_ACCOUNTING = "AccountingStorageType=accounting_storage/none"
WITH_ACCOUNTING = """AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment"""
SLURMDBD_CONF = f"""{MARK}
AuthType=auth/munge
DbdHost=localhost
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={DATABASE_PORT}
StorageUser=slurm
StoragePass=loopback
StorageLoc=slurm_acct_db
LogFile={STATE}/slurmdbd.log
PidFile={STATE}/slurmdbd.file.pid
"""


class ClusterError(RuntimeError):
    """Why the cluster cannot be had here, in a sentence."""


def start(accounting: bool = False, install: bool = False) -> None:
    """Start the cluster and wait until its node is idle."""
    _check(accounting, install)
    stop()
    for folder in (STATE, STATE / "state", STATE / "spool", ETC):
        folder.mkdir(parents=True, exist_ok=True)
    _munge()
    if accounting:
        _database()
        start_slurmdbd()
    devices = [STATE / f"gpu{index}" for index in range(GPUS)]
    for device in devices:
        _call("mknod", str(device), "c", "1", "5")  # another /dev/zero; a plain file would give no GPU
    _write("gres.conf", f"{MARK}\n" + "".join(f"Name=gpu Type=toy File={device}\n" for device in devices))
    _write(
        "slurm.conf",
        SLURM_CONF.format(
            mark=MARK, host=_host(), state=STATE, cpus=CPUS, memory=MEMORY_MB, gpus=GPUS,
            accounting=WITH_ACCOUNTING if accounting else WITHOUT_ACCOUNTING,
        ),
    )  # fmt: skip
    if accounting:
        _wait("slurmdbd answers", lambda: _succeeds("sacctmgr", "-n", "list", "cluster"))
        for what in (("cluster", "loopback"), ("account", "lab"), ("user", "root", "account=lab")):
            subprocess.run(["sacctmgr", "-i", "add", *what], capture_output=True)  # fails where it is there already
    _daemon("slurmctld", "slurmctld", "-D")
    _wait("slurmctld answers", lambda: _succeeds("scontrol", "ping"))
    _daemon("slurmd", "slurmd", "-D", "-N", _host())
    _wait("the node is idle", lambda: "idle" in _output("sinfo", "-h", "-o", "%t"))


def start_slurmdbd() -> None:
    """Start the accounting daemon, again after a test has stopped it."""
    _daemon("slurmdbd", "slurmdbd", "-D")


def stop_daemon(name: str) -> None:
    """End one daemon that `start` started."""
    path = STATE / f"{name}.pid"
    if not path.exists():
        return
    pid = int(path.read_text())
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    for _ in range(100):
        if not _alive(pid):
            break
        time.sleep(0.1)
    else:
        os.kill(pid, signal.SIGKILL)
    path.unlink()


def stop() -> None:
    """End all daemons and take everything away that `start` made."""
    if _running("slurmctld"):
        subprocess.run(["scancel", "--user", "root"], capture_output=True)
        with contextlib.suppress(ClusterError):
            _wait("the queue is empty", lambda: not _output("squeue", "-h"), seconds=30)
    for name in ("slurmd", "slurmctld", "slurmdbd", "mariadbd", "munged"):
        stop_daemon(name)
    shutil.rmtree(STATE, ignore_errors=True)
    for name in ("slurm.conf", "gres.conf", "slurmdbd.conf"):
        if _ours(ETC / name):
            (ETC / name).unlink()


def status() -> str:
    """Which daemons run, and what the cluster says of itself."""
    names = sorted(path.stem for path in STATE.glob("*.pid") if not path.stem.endswith(".file"))
    daemons = ", ".join(name for name in names if _running(name)) or "none"
    if not _running("slurmctld"):
        return f"daemons: {daemons}"
    return f"daemons: {daemons}\n{_output('sinfo', '-o', '%P %t %c cores, %m MB, %G')}\n{_output('squeue')}"


def _check(accounting: bool, install: bool) -> None:
    if os.geteuid() != 0:
        raise ClusterError("a SLURM cluster can only be started by root")
    if (ETC / "slurm.conf").exists() and not _ours(ETC / "slurm.conf"):
        raise ClusterError(f"{ETC}/slurm.conf is not ours; this machine seems to belong to a cluster")
    wanted = PROGRAMS + DATABASE_PROGRAMS if accounting else PROGRAMS
    missing = [name for name in wanted if shutil.which(name) is None]
    if missing and install and shutil.which("apt-get"):
        quiet = {"stdout": subprocess.DEVNULL, "env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"}}
        subprocess.run(["apt-get", "update", "-qq"], **quiet)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES], **quiet)
        missing = [name for name in wanted if shutil.which(name) is None]
    if missing:
        raise ClusterError(f"{', '.join(missing)} not found; apt-get install {' '.join(PACKAGES)}")


def _munge() -> None:
    if _succeeds("munge", "-n"):
        return  # one that is not ours runs already
    for folder in ("/run/munge", "/var/log/munge", "/var/lib/munge"):
        _call("install", "-d", "-o", "munge", "-g", "munge", "-m", "0755", folder)
    _daemon("munged", "setpriv", "--reuid=munge", "--regid=munge", "--clear-groups", shutil.which("munged"), "-F")
    _wait("munge answers", lambda: _succeeds("munge", "-n"))


def _database() -> None:
    folder = STATE / "mysql"
    folder.mkdir()
    STATE.chmod(0o755)
    shutil.chown(folder, "mysql", "mysql")
    _call("mariadb-install-db", "--user=mysql", f"--datadir={folder}", "--skip-test-db")
    _daemon(
        "mariadbd", "mariadbd", "--no-defaults", "--user=mysql", f"--datadir={folder}", f"--socket={folder}/sock",
        "--bind-address=127.0.0.1", f"--port={DATABASE_PORT}", "--innodb-lock-wait-timeout=900",
        "--innodb-buffer-pool-size=64M", f"--pid-file={folder}/mariadbd.pid",
    )  # fmt: skip
    client = ["mariadb", "--no-defaults", f"--socket={folder}/sock", "-u", "root"]
    _wait("MariaDB answers", lambda: _succeeds(*client, "-e", "select 1"))
    grant = "create user slurm@'127.0.0.1' identified by 'loopback'; grant all on slurm_acct_db.* to slurm@'127.0.0.1';"
    grant += "create user slurm@localhost identified by 'loopback'; grant all on slurm_acct_db.* to slurm@localhost"
    _call(*client, "-e", grant)
    _write("slurmdbd.conf", SLURMDBD_CONF)
    (ETC / "slurmdbd.conf").chmod(0o600)


def _daemon(name: str, *command: str) -> None:
    with (STATE / f"{name}.out").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=STATE
        )
    (STATE / f"{name}.pid").write_text(str(process.pid))


def _running(name: str) -> bool:
    path = STATE / f"{name}.pid"
    return path.exists() and _alive(int(path.read_text()))


def _alive(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # one started by this process stays a zombie else
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def _wait(what: str, true: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if true():
            return
        time.sleep(0.2)
    raise ClusterError(f"waited in vain for {seconds:g} s: {what}; see {STATE}/*.log and *.out")


def _write(name: str, text: str) -> None:
    if (ETC / name).exists() and not _ours(ETC / name):
        raise ClusterError(f"{ETC / name} is not ours")
    (ETC / name).write_text(text)


def _ours(path: Path) -> bool:
    return path.exists() and path.read_text().startswith(MARK)


def _host() -> str:
    return socket.gethostname().partition(".")[0]


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ClusterError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("start", "stop", "status"))
    parser.add_argument("--accounting", action="store_true", help="with slurmdbd and MariaDB")
    parser.add_argument("--install", action="store_true", help="install the Debian packages if they are missing")
    arguments = parser.parse_args()
    try:
        if arguments.command == "start":
            start(arguments.accounting, arguments.install)
        elif arguments.command == "stop":
            stop()
    except ClusterError as error:
        sys.exit(f"slurm.py: {error}")
    print(status())


if __name__ == "__main__":
    main()
