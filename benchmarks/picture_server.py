"""A web server on loopback, in its own process, that answers each path with a different JPEG."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

HEAD = "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n"


async def serve(picture: bytes) -> None:
    """Print the port, and answer requests until the process is killed."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                while await reader.readline() not in (b"\r\n", b""):
                    pass
                # Decoders ignore bytes after the end of a JPEG, so the path makes the file different.
                body = picture + line.split()[1]
                writer.write(HEAD.format(len(body)).encode() + body)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]).read_bytes()))
