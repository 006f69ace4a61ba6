"""A vendor on a real socket: what the five fakes share, and the faults any of them can be given.

A fake implements its vendor's login, paging, time filter and quirks in `answer` with code of its
own, so that the pipeline and the fake are tested against each other. Faults are laid over it here.
"""

import json
import re
import socket
import ssl
import struct
import threading
import time
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Literal, Self
from urllib.parse import parse_qs, urlsplit

Row = dict[str, Any]


@dataclass(frozen=True)
class Ask:
    """One request as it arrived. `query` holds the last value of each parameter."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body or b"null")


@dataclass(frozen=True)
class Answer:
    """What goes back: `body` is sent as JSON unless it is text already."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        return self.body if isinstance(self.body, str) else json.dumps(self.body)


FaultKind = Literal[
    "status",
    "reset",
    "cut",
    "cut unsized",  # as "cut", and no length was told
    "mark",  # a byte order mark before the reply
    "html",
    "empty",
    "slow",
    "redirect",
]


@dataclass
class Fault:
    """What goes wrong `times` times on requests whose path matches, after `skip` of them."""

    kind: FaultKind
    path: str = ""
    times: int = 1
    skip: int = 0
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = field(default_factory=lambda: {"message": "try later"})
    seconds: float = 0.0
    location: str = ""
    hits: int = 0

    def strikes(self, ask: Ask) -> bool:
        if self.times <= 0 or not re.search(self.path, ask.path):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        self.hits += 1
        return True


class Fake:
    """Base of the five fakes. Use it as a context manager; `url` is where it listens.

    `now` is the vendor's clock; tests may set it to a function of their own.
    `latency`: each reply comes so many seconds after its request.
    `busiest` is the greatest number of requests that were under way at once; more than `at_once`
    are refused with 503.
    `rewrites` are (path pattern, function of the decoded body) pairs applied to good replies.
    """

    vendor: ClassVar[str]
    #: the path of the vendor's main reading endpoint, as a pattern for faults
    main_path: ClassVar[str]
    #: the key that holds the rows in the main endpoint's reply, None for a bare array or a map
    data_key: ClassVar[str | None]

    def __init__(self, *, certificate: Path | None = None) -> None:
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.latency = 0.0
        self.busy = self.busiest = 0
        self.at_once: int | None = None
        self.seen: list[tuple[Ask, int]] = []
        self.faults: list[Fault] = []
        self.rewrites: list[tuple[str, Callable[[Any], Any]]] = []
        self.lock = threading.RLock()
        self._certificate = certificate
        self._server: ThreadingHTTPServer | None = None

    # --- what a vendor's fake implements -------------------------------------------------------

    def answer(self, ask: Ask) -> Answer:
        """The vendor's reply to a request, called under `lock`."""
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """The keys of `[sources.<vendor>]`, secrets among them, that lead a pipeline here."""
        raise NotImplementedError

    def seed(self, rows: int = 250) -> None:
        """Fill the vendor with a realistic history of about so many rows in its main table."""
        raise NotImplementedError

    def change(self) -> None:
        """A day passes: some rows change late, some arrive late, some are new."""
        raise NotImplementedError

    def shift_once(self) -> None:
        """The next time several pages of one set are read, rows move between them."""
        raise NotImplementedError

    def expire_logins(self) -> None:
        """Every token given out so far is worth nothing from now on."""

    def expected(self) -> dict[str, list[Row]]:
        """Per raw table of the contract, the rows that a right warehouse holds now.

        Columns carry the contract's names; times are aware datetimes, JSON columns Python values.
        History tables: the current rows. Observations: the latest. Computed from the fake's own
        records with code that shares nothing with the pipeline.
        """
        raise NotImplementedError

    # --- the socket --------------------------------------------------------------------------

    @property
    def url(self) -> str:
        assert self._server, "the fake is not running"
        scheme = "https" if self._certificate else "http"
        return f"{scheme}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def handle_any(self) -> None:
                fake._serve(self)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = handle_any

            def log_message(self, format: str, *args: Any) -> None:
                """Requests are kept in `seen`, not printed."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that hangs up in the middle is no news."""

        self._server = Server(("127.0.0.1", 0), Handler)
        if self._certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        ask, came = _read(handler), time.monotonic()
        with self.lock:
            self.busy += 1
            self.busiest = max(self.busiest, self.busy)
            fault = next((f for f in self.faults if f.strikes(ask)), None)
            answer = _faulty(fault) if fault else None
            if self.at_once is not None and self.busy > self.at_once:
                answer = Answer({"message": "too many at once"}, 503)
            if answer is None:
                answer = self._rewritten(ask, self.answer(ask))
            self.seen.append((ask, answer.status))
        late = self.latency + (fault.seconds if fault else 0.0)
        time.sleep(max(0.0, came + late - time.monotonic()))
        with self.lock:  # before the reply: whoever has it may ask again at once
            self.busy -= 1
        if fault and fault.kind == "reset":
            _reset(handler)
            return
        _send(handler, answer, self.now(), fault.kind if fault else None)

    def _rewritten(self, ask: Ask, answer: Answer) -> Answer:
        if answer.status != 200:
            return answer
        body = answer.body
        for path, rewrite in self.rewrites:
            if re.search(path, ask.path):
                body = rewrite(body)
        return Answer(body, answer.status, answer.headers)

    # --- what tests ask ----------------------------------------------------------------------

    def asked(self, path: str = "") -> list[Ask]:
        """The requests seen so far whose path matches."""
        return [ask for ask, _ in list(self.seen) if re.search(path, ask.path)]

    @contextmanager
    def counting(self) -> Iterator[list[Ask]]:
        """Collects the requests seen inside the block."""
        start, asks = len(self.seen), list[Ask]()
        yield asks
        asks.extend(ask for ask, _ in self.seen[start:])


def _faulty(fault: Fault) -> Answer | None:
    """The reply that a fault puts in place of the vendor's; None where it only disturbs it."""
    match fault.kind:
        case "status":
            return Answer(fault.body, fault.status, fault.headers)
        case "html":
            page = "<html><body>Down for maintenance</body></html>"
            return Answer(page, 200, {"Content-Type": "text/html"})
        case "empty":
            return Answer("")
        case "redirect":
            return Answer("", 302, {"Location": fault.location})
        case _:
            return None


def _read(handler: BaseHTTPRequestHandler) -> Ask:
    parts = urlsplit(handler.path)
    length = int(handler.headers.get("Content-Length") or 0)
    return Ask(
        method=handler.command,
        path=parts.path,
        query={k: v[-1] for k, v in parse_qs(parts.query, keep_blank_values=True).items()},
        headers={k.lower(): v for k, v in handler.headers.items()},
        body=handler.rfile.read(length),
    )


def _send(
    handler: BaseHTTPRequestHandler, answer: Answer, now: datetime, fault: FaultKind | None
) -> None:
    data = answer.text().encode("utf-8", "surrogateescape")
    if fault == "mark":
        data = BOM_UTF8 + data
    cut = fault in ("cut", "cut unsized")
    handler.send_response_only(answer.status)
    handler.send_header("Date", format_datetime(now.astimezone(UTC), usegmt=True))
    for name, value in ({"Content-Type": "application/json"} | answer.headers).items():
        handler.send_header(name, value)
    if fault == "cut unsized":
        handler.send_header("Connection", "close")
    else:
        handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data[: len(data) // 2] if cut else data)
    handler.wfile.flush()
    if cut:
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)


def _reset(handler: BaseHTTPRequestHandler) -> None:
    linger = struct.pack("ii", 1, 0)  # close sends RST instead of FIN
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.close_connection = True
    handler.connection.close()
