"""Stands between the hub and a Modbus TCP server, and does things to the bytes that come back.

usage: modbus_fault.py PORT SERVER_PORT FAULT     PORT 0: a free one; prints the one it has, ends with its input
FAULT is one of
  none | slow:S (each answer S seconds late) | late1:S (only the first answer late) | drop1 | mute
  tid (transaction + 1) | garbage1 (7 junk bytes before the first answer) | split (byte by byte, 5 ms apart)
  cut1 (half of the first answer, then close) | trunc1 (half of it, the connection stays open)
"""

import asyncio
import sys

JUNK = b"\x00\xff\x55\x01\x7f\x10\x03"


class Fault:
    """What is done to answers. The first one is the first of all connections."""

    def __init__(self, spec: str):
        self.kind, _, seconds = spec.partition(":")
        self.seconds = float(seconds or 0)
        self.answers = 0

    async def send(self, writer: asyncio.StreamWriter, answer: bytes) -> None:
        self.answers += 1
        kind, is_first = self.kind, self.answers == 1
        if kind == "slow" or (kind == "late1" and is_first):
            await asyncio.sleep(self.seconds)
        if kind == "mute" or (kind == "drop1" and is_first):
            return
        if kind == "tid":
            transaction = (int.from_bytes(answer[:2], "big") + 1) & 0xFFFF
            answer = transaction.to_bytes(2, "big") + answer[2:]
        if kind == "garbage1" and is_first:
            answer = JUNK + answer
        if kind in ("cut1", "trunc1") and is_first:
            writer.write(answer[: len(answer) // 2])
            await writer.drain()
            if kind == "cut1":
                writer.close()
            return
        if kind == "split":
            for byte in answer:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.005)
            return
        writer.write(answer)
        await writer.drain()


async def pump(reader: asyncio.StreamReader, send, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(4096):
            await send(data)
    except OSError:
        pass
    finally:
        writer.close()


async def serve(hub_reader, hub_writer, server_port: int, fault: Fault) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server_port)

    async def forward(data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    # One task for each direction: a late answer holds back those behind it, as on one wire.
    await asyncio.gather(
        pump(hub_reader, forward, writer),
        pump(reader, lambda data: fault.send(hub_writer, data), hub_writer),
        return_exceptions=True,
    )


async def main() -> None:
    port, server_port, spec = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    fault = Fault(spec)
    server = await asyncio.start_server(lambda r, w: serve(r, w, server_port, fault), "127.0.0.1", port)
    print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
