"""An Eastron SDM630 on pymodbus: input registers 0 to 381 of units 1 and 2, big-endian singles.

Prints its port. The value at an even address is a function of unit and address, which the test computes as well.
Ends with its input.
"""

import asyncio
import struct
import sys

from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.server import ModbusTcpServer

LAST = 381


def value(unit: int, address: int) -> float:
    """Between 0 and 1, which every register of the meter may be; in binary without an end."""
    return ((address + 1) * 7919 * unit % 65521) / 65521.0


def registers(unit: int) -> list[int]:
    words = []
    for address in range(0, LAST + 1, 2):
        words += struct.unpack(">HH", struct.pack(">f", value(unit, address)))
    return words


def meter(unit: int) -> ModbusDeviceContext:
    # A block's addresses count from 1.
    return ModbusDeviceContext(ir=ModbusSequentialDataBlock(1, registers(unit)))


async def main() -> None:
    context = ModbusServerContext(devices={unit: meter(unit) for unit in (1, 2)}, single=False)
    server = ModbusTcpServer(context, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    print(f"port {server.transport.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.shutdown()


asyncio.run(main())
