"""A PostgreSQL server with PostGIS for the tests: its own data folder, its own port, gone when the tests end.

Every setting that keeps a commit on disk stays as the server ships it (fsync, synchronous_commit, full_page_writes).
"""

from __future__ import annotations

import os
import pwd
import random
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

__all__ = ["HOW_TO_GET_IT", "CannotRunError", "Server", "emptied", "programs", "running"]

HOW_TO_GET_IT = (
    "PostgreSQL with PostGIS is absent; to get it, type: sudo apt-get install postgresql-15 postgresql-15-postgis-3"
)
PASSWORD = "geo-engine-tests"  # noqa: S105 - of a server that listens on loopback while the tests run
ROLE = "geo_tests"


class CannotRunError(Exception):
    """There is a server, and it does not start here."""


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        port: on 127.0.0.1.
        folder: holds its data and its log.
    """

    port: int
    folder: Path
    _bin: Path
    _as: tuple[str, ...]

    def url(self, database: str = "geo", *, role: str = ROLE, password: str = PASSWORD) -> str:
        """Return the address of a database as the program takes it."""
        return f"postgresql+psycopg://{role}:{password}@127.0.0.1:{self.port}/{database}"

    def sql(self, statement: str, database: str = "geo") -> str:
        """Run statements as the administrator and return what they print."""
        command = [*self._as, str(self._bin / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", str(self.folder)]
        command += ["-p", str(self.port), "-U", "postgres", "-d", database, "-c", statement]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder)
        if done.returncode:
            raise CannotRunError(done.stderr.strip())
        return done.stdout.strip()

    def create_database(self, name: str) -> str:
        """Make an empty database with PostGIS in it and return its address."""
        self.sql(f"CREATE DATABASE {name} OWNER {ROLE} ENCODING 'UTF8' TEMPLATE template0", "postgres")
        self.sql("CREATE EXTENSION postgis", name)
        return self.url(name)

    def stop(self, mode: str = "fast") -> None:
        """Stop it; ``immediate`` is a crash."""
        self._ctl("stop", "-m", mode)

    def start(self) -> None:
        """Start it (again)."""
        # One folder for the socket too: the usual one may belong to a server of the machine.
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
        self._ctl("start", "-o", options, "-l", str(self.folder / "log"))

    def _ctl(self, *arguments: str) -> None:
        command = [*self._as, str(self._bin / "pg_ctl"), "-D", str(self.folder / "data"), "-w", "-s", *arguments]
        # No pipe: the server would inherit it, and reading it would wait for the server to end.
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, cwd="/")
        if done.returncode:
            message = f"pg_ctl {arguments[0]} ended with {done.returncode}; see {self.folder / 'log'}"
            raise CannotRunError(message)


def programs() -> Path | None:
    """Return the folder of the newest server (15 or later) that has PostGIS; None without one."""
    found = []
    for initdb in Path("/usr/lib/postgresql").glob("*/bin/initdb"):
        version = initdb.parents[1].name
        extension = Path(f"/usr/share/postgresql/{version}/extension/postgis.control")
        if re.fullmatch(r"\d+", version) and int(version) >= 15 and extension.is_file():
            found.append((int(version), initdb.parent))
    return max(found)[1] if found else None


@contextmanager
def running() -> Iterator[Server]:
    """Run a server as long as the block lasts.

    Raises:
        CannotRunError: there is none, or it does not start; the text says why.
    """
    where = programs()
    if where is None:
        raise CannotRunError(HOW_TO_GET_IT)
    folder = Path(tempfile.mkdtemp(prefix="geo-pg-"))
    try:
        server = _made(where, folder)
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _made(where: Path, folder: Path) -> Server:
    runs_as: tuple[str, ...] = ()
    if os.geteuid() == 0:  # the server refuses to run as root
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        runs_as = ("runuser", "-u", "postgres", "--")
    initdb = [*runs_as, str(where / "initdb"), "-D", str(folder / "data"), "-U", "postgres", "-E", "UTF8"]
    initdb += ["--locale=C.UTF-8", "--auth-local=trust", "--auth-host=scram-sha-256"]
    done = subprocess.run(initdb, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        message = f"initdb: {done.stderr.strip()}"
        raise CannotRunError(message)
    for _ in range(9):
        server = Server(random.randint(20_000, 32_000), folder, where, runs_as)
        try:
            server.start()
        except CannotRunError:
            continue  # somebody else listens there
        server.sql(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'", "postgres")
        server.create_database("geo")
        return server
    log = folder / "log"
    message = f"the server did not start: {log.read_text()[-500:] if log.is_file() else 'no log'}"
    raise CannotRunError(message)


_EMPTY = """
DO $$
DECLARE name text;
BEGIN
  FOR name IN SELECT quote_ident(tablename) FROM pg_tables WHERE tableowner = 'geo_tests'
    AND tablename NOT IN ('schema_version', 'alembic_version') LOOP
    EXECUTE 'DELETE FROM ' || name;
  END LOOP;
  PERFORM setval(c.oid, 1, false) FROM pg_class c WHERE c.relkind = 'S' AND pg_get_userbyid(c.relowner) = 'geo_tests';
END $$
"""


def emptied(server: Server) -> str:
    """Return the address of the database ``geo`` without a row in it; its tables stay, because making them is slow."""
    with psycopg.connect(host=str(server.folder), port=server.port, user="postgres", dbname="geo") as connection:
        connection.execute("SET session_replication_role = replica")  # foreign keys may wait
        connection.execute(_EMPTY)
    return server.url()
