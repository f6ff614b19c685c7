#!/usr/bin/env python3
"""A Modbus TCP device of few lines and no library: `modbus_plain.py PORT`. Register n holds n, in every table."""

import socketserver
import struct
import sys


class Device(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while len(head := self.rfile.read(8)) == 8:
            transaction, _, length, unit, function = struct.unpack(">HHHBB", head)
            body = self.rfile.read(length - 2)
            if function in (3, 4) and len(body) == 4:
                first, count = struct.unpack(">HH", body)
                values = struct.pack(f">{count}H", *((first + n) & 0xFFFF for n in range(count)))
                answer = struct.pack(">BBB", unit, function, len(values)) + values
            else:
                answer = struct.pack(">BBB", unit, function | 0x80, 1)
            self.wfile.write(struct.pack(">HHH", transaction, 0, len(answer)) + answer)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Device).serve_forever()
