"""Servers that match or store positions: PostGIS and Redis, started for the benchmark, and a running Tile38.

Each is a context manager that raises ``AbsentError`` when its server is not there. A server started here listens on a
Unix socket in a new folder of its own, keeps its data there and ends with the block.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import shapely

from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.model import FloatColumn

__all__ = ["AbsentError", "Matched", "PostGis", "RedisGeo", "RedisStore", "Resp", "Tile38"]

Shapes = npt.NDArray[np.object_]

_START_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Matched:
    """What a way found, (ping, zone) pairs, and what it took. ``None`` = it does not look for zones."""

    pairs: int | None
    seconds: float


class AbsentError(Exception):
    """A server is not installed, does not start or does not answer; the message says what is missing."""


class _Server(AbstractContextManager["_Server"]):
    """What is opened for a server and closed with the block."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._open(self._stack)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _open(self, stack: ExitStack) -> None:
        raise NotImplementedError


class PostGis(_Server):
    """COPY the pings into a table, then join it with the zones (gist) by ST_Covers. One core: no JIT, no workers."""

    name = "PostGIS, COPY + join by ST_Covers"

    def __init__(self, shapes: Shapes) -> None:
        """Keep the zones; the server starts with the block."""
        super().__init__()
        self._shapes = shapes

    def match(self, lon: FloatColumn, lat: FloatColumn) -> Matched:
        """Send a batch and join; both statements are timed by the client that sends them."""
        rows = "\n".join(np.asarray(shapely.to_wkb(shapely.points(lon, lat), hex=True)).tolist())
        join = "SELECT count(*) FROM pings JOIN zones ON ST_Covers(zones.shape, pings.place);"
        output = self._sql(f"TRUNCATE pings;\n\\timing on\nCOPY pings FROM STDIN;\n{rows}\n\\.\n{join}\n")
        milliseconds = sum(float(found) for found in re.findall(r"Time: ([0-9.]+) ms", output))
        counts = [int(line) for line in output.splitlines() if line.strip().isdigit()]
        return Matched(counts[-1], milliseconds / 1000)

    def _open(self, stack: ExitStack) -> None:
        control = sorted(Path("/usr/share/postgresql").glob("*/extension/postgis.control"))
        if not control:
            message = "not installed (apt-get install postgresql-15-postgis-3)"
            raise AbsentError(message)
        self._programs = Path("/usr/lib/postgresql") / control[-1].parents[1].name / "bin"
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        # The server refuses to run as root.
        self._as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self._as_user:
            shutil.chown(self._folder, "postgres")
        data = self._folder / "data"
        self._run("initdb", "-D", data, "-U", "bench", "-A", "trust", "--no-sync", "-E", "UTF8")
        options = f"-k {self._folder} -c listen_addresses='' -c fsync=off -c jit=off -c shared_buffers=256MB"
        options += " -c max_parallel_workers_per_gather=0 -c work_mem=64MB"
        self._run(
            "pg_ctl", "-D", data, "-w", "-t", str(int(_START_S)), "-l", self._folder / "log", "-o", options, "start"
        )
        stack.callback(self._run, "pg_ctl", "-D", data, "-m", "immediate", "stop")
        rows = "\n".join(shapely.to_wkb(self._shapes, hex=True).tolist())
        self._sql(
            "CREATE EXTENSION postgis; CREATE TABLE zones (shape geometry); "
            f"CREATE UNLOGGED TABLE pings (place geometry);\nCOPY zones FROM STDIN;\n{rows}\n\\.\n"
            "CREATE INDEX ON zones USING gist (shape);\nANALYZE zones;\n"
        )

    def _run(self, program: str, *arguments: str | Path) -> None:
        command = [*self._as_user, str(self._programs / program), *map(str, arguments)]
        # A server that inherited a pipe would keep it open; so its output goes nowhere.
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            check=False,
        )
        if result.returncode:
            message = f"{program} ended with {result.returncode}"
            raise AbsentError(message)

    def _sql(self, script: str) -> str:
        command = [str(self._programs / "psql"), "-h", str(self._folder), "-U", "bench", "-d", "postgres", "-qAtX"]
        result = subprocess.run(
            [*command, "-v", "ON_ERROR_STOP=1"], input=script, capture_output=True, text=True, check=False
        )
        if result.returncode:
            message = f"psql: {result.stderr.strip()[:200]}"
            raise AbsentError(message)
        return result.stdout


class Resp:
    """The protocol of Redis and Tile38 over a socket, many commands at a time."""

    def __init__(self, connected: socket.socket) -> None:
        """Take a connected socket."""
        self._socket = connected

    @staticmethod
    def command(*words: str | bytes) -> bytes:
        """Return one command as it goes over the wire."""
        parts = [word if isinstance(word, bytes) else word.encode() for word in words]
        return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)

    def ask(self, commands: Iterable[bytes]) -> list[bytes]:
        """Send commands and return the lines of all replies together.

        A last PING tells where the replies end, so no text of a reply may read like its answer.

        Raises:
            AbsentError: a command failed or the server closed the connection.
        """
        self._socket.sendall(b"".join([*commands, self.command("PING")]))
        received = bytearray()
        while not received.endswith(b"+PONG\r\n"):
            part = self._socket.recv(1 << 20)
            if not part:
                message = "the server closed the connection"
                raise AbsentError(message)
            received += part
        lines = bytes(received).split(b"\r\n")[:-2]
        wrong = next((line for line in lines if line.startswith(b"-")), None)
        if wrong is not None:
            raise AbsentError(wrong.decode(errors="replace"))
        return lines


class _Redis(_Server):
    """A Redis server of its own, without persistence."""

    def __init__(self, shapes: Shapes) -> None:
        """Keep the zones; the server starts with the block."""
        super().__init__()
        self._shapes = shapes

    def _open(self, stack: ExitStack) -> None:
        program = shutil.which("redis-server")
        if program is None:
            message = "not installed (apt-get install redis-server)"
            raise AbsentError(message)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address = folder / "socket"
        command = [program, "--port", "0", "--unixsocket", str(address), "--save", "", "--dir", str(folder)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        deadline = time.monotonic() + _START_S
        while not address.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                message = "redis-server did not start"
                raise AbsentError(message)
            time.sleep(0.02)
        connected = stack.enter_context(socket.socket(socket.AF_UNIX))
        connected.connect(str(address))
        self._resp = Resp(connected)

    def _store(self, lon: FloatColumn, lat: FloatColumn) -> list[bytes]:
        places = zip(lon.tolist(), lat.tolist(), strict=True)
        return [Resp.command("GEOADD", "users", repr(x), repr(y), str(row)) for row, (x, y) in enumerate(places)]


class RedisStore(_Redis):
    """GEOADD of every ping, 1,000 a time: stores positions, looks for no zone."""

    name = "Redis GEOADD (stores only, no zones)"

    def match(self, lon: FloatColumn, lat: FloatColumn) -> Matched:
        """Store a batch; the commands are written before the timing."""
        commands = self._store(lon, lat)
        start = time.perf_counter()
        _in_parts(self._resp, commands)
        return Matched(None, time.perf_counter() - start)


class RedisGeo(_Redis):
    """GEOADD of every ping, GEOSEARCH of every zone's box, and shapely on what that finds: Redis has no polygons."""

    name = "Redis GEO, boxes + shapely"

    def match(self, lon: FloatColumn, lat: FloatColumn) -> Matched:
        """Store a batch, then ask for each zone; the GEOADD commands are written before the timing."""
        self._resp.ask([Resp.command("DEL", "users")])
        commands, boxes = self._store(lon, lat), self._boxes()
        start = time.perf_counter()
        _in_parts(self._resp, commands)
        pairs = 0
        for box, shape in zip(boxes, self._shapes, strict=True):
            # Members are numbers, so the lines of the reply are: count, then length and member in turns.
            rows = np.array(self._resp.ask([box])[2::2], dtype=np.int64)
            pairs += int(np.count_nonzero(shapely.intersects_xy(shape, lon[rows], lat[rows])))
        return Matched(pairs, time.perf_counter() - start)

    def _boxes(self) -> list[bytes]:
        """Return a search for the box of each zone, a little wider: Redis keeps positions to 0.6 m on a sphere."""
        shapely.prepare(self._shapes)
        west, south, east, north = shapely.bounds(self._shapes).T
        east_m, _ = metres_per_degree(np.minimum(np.abs(south), np.abs(north)))
        _, north_m = metres_per_degree(np.maximum(np.abs(south), np.abs(north)))
        width_m, height_m = (east - west) * east_m * 1.01 + 10.0, (north - south) * north_m * 1.01 + 10.0
        columns = ((west + east) / 2, (south + north) / 2, width_m, height_m)
        return [
            Resp.command("GEOSEARCH", "users", "FROMLONLAT", repr(x), repr(y), "BYBOX", repr(width), repr(height), "m")
            for x, y, width, height in zip(*(column.tolist() for column in columns), strict=True)
        ]


class Tile38(_Server):
    """INTERSECTS ... COUNT of every ping against the zones as objects of a collection, 1,000 a time."""

    name = "Tile38, INTERSECTS per ping"

    def __init__(self, shapes: Shapes, address: str | None) -> None:
        """Keep the zones and where the server answers (``HOST:PORT``)."""
        super().__init__()
        self._shapes = shapes
        self._address = address

    def match(self, lon: FloatColumn, lat: FloatColumn) -> Matched:
        """Ask for the zones of a batch; the commands are written before the timing."""
        places = zip(lon.tolist(), lat.tolist(), strict=True)
        points = (f'{{"type":"Point","coordinates":[{x!r},{y!r}]}}' for x, y in places)
        commands = [Resp.command("INTERSECTS", "bench:zones", "COUNT", "OBJECT", point) for point in points]
        start = time.perf_counter()
        lines = _in_parts(self._resp, commands)
        return Matched(sum(int(line[1:]) for line in lines), time.perf_counter() - start)

    def _open(self, stack: ExitStack) -> None:
        if not self._address:
            message = "no address given (--tile38 HOST:PORT)"
            raise AbsentError(message)
        host, _, port = self._address.rpartition(":")
        try:
            connected = stack.enter_context(socket.create_connection((host or "localhost", int(port)), timeout=30.0))
        except (OSError, ValueError) as problem:
            message = f"nothing answers at {self._address}: {problem}"
            raise AbsentError(message) from problem
        self._resp = Resp(connected)
        stack.callback(self._resp.ask, [Resp.command("DROP", "bench:zones")])
        drawn = shapely.to_geojson(self._shapes).tolist()
        commands = [Resp.command("SET", "bench:zones", str(row), "OBJECT", text) for row, text in enumerate(drawn)]
        _in_parts(self._resp, commands)


def _in_parts(resp: Resp, commands: Sequence[bytes]) -> list[bytes]:
    """Send commands 1,000 a time, so that neither side waits for the other with full buffers."""
    lines: list[bytes] = []
    for first in range(0, len(commands), 1_000):
        lines += resp.ask(commands[first : first + 1_000])
    return lines
