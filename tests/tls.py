"""TLS for the servers of the tests: certificates, and ends of TLS in front of servers that speak none themselves."""

from __future__ import annotations

import asyncio
import datetime
import ssl
import struct
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_BLOCK = 64 * 1024
_SSL_REQUEST, _GSSENC_REQUEST = 80877103, 80877104

ResultT = TypeVar("ResultT")


def make_certificate(path: Path, name: str) -> Path:
    """Write a key and a self-signed certificate for a host name into one PEM file, and return its path."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(names, names, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


async def accept_postgresql(reader: StreamReader, writer: StreamWriter) -> bool:
    """Answer a PostgreSQL client that asks for TLS. Return False if it asks for anything else.

    The requests are described in the manual of PostgreSQL, "Message Formats": SSLRequest and GSSENCRequest.
    """
    code = 0
    while code != _SSL_REQUEST:
        _, code = struct.unpack("!II", await reader.readexactly(8))
        if code not in {_SSL_REQUEST, _GSSENC_REQUEST}:
            return False
        writer.write(b"S" if code == _SSL_REQUEST else b"N")
        await writer.drain()
    return True


async def accept_all(_reader: StreamReader, _writer: StreamWriter) -> bool:
    """Let TLS begin at once."""
    return True


class TlsEnd:
    """A port that speaks TLS and passes everything on to a Unix socket that does not."""

    def __init__(
        self,
        target: Path,
        certificate: Path,
        accept: Callable[[StreamReader, StreamWriter], Coroutine[Any, Any, bool]] = accept_all,
    ) -> None:
        """`accept` speaks with a client before TLS begins. It returns False to refuse the client."""
        self._target = target
        self._accept = accept
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _end(self) -> None:
        self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            if not await self._accept(reader, writer):
                return
            await writer.start_tls(self._context)
            far_reader, far_writer = await asyncio.open_unix_connection(str(self._target))
            await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer))
        except (OSError, EOFError):
            # A client that does not trust the certificate ends the connection.
            return
        finally:
            writer.transport.abort()


async def _pass_on(source: StreamReader, target: StreamWriter) -> None:
    try:
        while data := await source.read(_BLOCK):
            target.write(data)
            await target.drain()
    finally:
        target.close()
