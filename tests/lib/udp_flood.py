"""udp_flood.py MAC ADDRESS PORT COUNT: sends COUNT datagrams from eth0, each from somebody else,
who does not exist. A process of its own, so that it keeps nobody waiting. At most
some 50,000 a second: what a device drops, as nobody can take it, is not what is looked for."""
import random
import socket
import struct
import sys
import time


def main():
    mac, address, port, count = sys.argv[1:]
    rng = random.Random(11)
    target = int.from_bytes(socket.inet_aton(address), "big")
    payload = b"flood" * 4
    header = [0x4500, 28 + len(payload), 1, 0, 0x4011, target >> 16, target & 0xFFFF]
    rest = sum(header)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind(("eth0", 0))
        ethernet = bytes.fromhex(mac) + raw.getsockname()[4] + b"\x08\0"
        for i in range(int(count)):
            if i % 50 == 0:
                time.sleep(0.001)
            source = rng.randrange(0x0B000000, 0x7E000000)
            total = rest + (source >> 16) + (source & 0xFFFF)
            total = (total & 0xFFFF) + (total >> 16)
            total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
            # UDP may leave its checksum out.
            raw.send(ethernet + struct.pack("!HHHHHHIIHHHH", *header[:5], total, source, target,
                                            rng.randrange(1, 65536), int(port), 8 + len(payload), 0)
                     + payload)


if __name__ == "__main__":
    main()
