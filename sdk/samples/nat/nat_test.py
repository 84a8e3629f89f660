#!/usr/bin/python3
"""Tests nat.click over packets: nat_test.py CLICK_PCAP

CLICK_PCAP is the program of tests/conform/click. Ports are given out at random; here, with "#", one
after the other, so that what was seen in a first run holds in the second, with answers.
"""
import pathlib
import subprocess
import sys
import tempfile

from scapy.all import ARP, ICMP, IP, TCP, UDP, Ether, Raw, rdpcap, wrpcap

CONFIG = pathlib.Path(__file__).resolve().parent / "nat.click"
PUBLIC = "192.0.2.1"
CLIENT_MAC, CLIENT_ROUTER = "02:00:00:00:01:01", "02:00:00:00:01:02"
OUT_MAC, OUT_ROUTER = "02:00:00:00:02:01", "02:00:00:00:02:02"
SERVER = "198.51.100.1"


def run(program, from_client, from_out):
    """What leaves: [(device, packet)]."""
    with tempfile.TemporaryDirectory() as directory:
        folder = pathlib.Path(directory)
        text = CONFIG.read_text().replace("1024-65535", "1024-65535#")
        (folder / "nat.click").write_text(text)
        for name, packets, base in (("c", from_client, 1), ("o", from_out, 2)):
            frames = [Ether(bytes(p)) for p in packets]
            for number, frame in enumerate(frames):
                frame.time = base + number / 1000
            wrpcap(str(folder / name), frames, linktype=1)
        result = subprocess.run(
            [program, "--devices", folder / "nat.click", folder / "out", folder / "c", folder / "o"],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        devices = [
            int(line.split()[1]) for line in result.stderr.splitlines() if line.startswith("device")
        ]
        packets = list(rdpcap(str(folder / "out")))
        assert len(devices) == len(packets), result.stderr
        return list(zip(devices, packets))


def has_right_checksums(packet):
    fresh = packet.copy()
    for layer in (IP, TCP, UDP, ICMP):
        if layer in fresh:
            del fresh[layer].chksum
    return bytes(fresh) == bytes(packet)


def from_client(payload, source="100.64.0.5", ttl=64):
    return Ether(src=CLIENT_ROUTER, dst=CLIENT_MAC) / IP(src=source, dst=SERVER, ttl=ttl) / payload


def from_out(target, payload, source=SERVER, ttl=64):
    return Ether(src=OUT_ROUTER, dst=OUT_MAC) / IP(src=source, dst=target, ttl=ttl) / payload


def main():
    program = sys.argv[1]
    ask = [
        from_client(TCP(sport=5555, dport=80, flags="S", seq=7)),
        from_client(UDP(sport=5555, dport=53) / Raw(b"question")),
        from_client(ICMP(type=8, id=77, seq=1) / Raw(b"ping")),
        from_client(TCP(sport=5555, dport=80, flags="S", seq=9), source="100.64.0.6"),
    ]
    sent = run(program, ask, [])
    assert [device for device, _ in sent] == [1] * 4, sent
    packets = [packet for _, packet in sent]
    for packet in packets:
        assert packet[IP].src == PUBLIC and packet[IP].dst == SERVER, packet.summary()
        assert (packet.src, packet.dst) == (OUT_MAC, OUT_ROUTER)
        assert packet[IP].ttl == 63
        assert has_right_checksums(packet), packet.summary()
    tcp, udp, ping, other = packets
    # Two clients with the same port are two to the server.
    assert tcp.sport != other.sport

    answers = [
        from_out(tcp[IP].src, TCP(sport=80, dport=tcp.sport, flags="SA", seq=1, ack=8)),
        from_out(udp[IP].src, UDP(sport=53, dport=udp.sport) / Raw(b"answer")),
        from_out(ping[IP].src, ICMP(type=0, id=ping[ICMP].id, seq=1) / Raw(b"ping")),
        from_out(other[IP].src, TCP(sport=80, dport=other.sport, flags="SA", seq=1, ack=10)),
        from_out(udp[IP].src, ICMP(type=3, code=3) / bytes(udp[IP])[:28], source="203.0.113.9"),
    ]
    # Nobody outside begins: another port, another server, a ping, a fragment, a last hop.
    refused = [
        from_out(tcp[IP].src, TCP(sport=80, dport=tcp.sport + 1000, flags="S")),
        from_out(udp[IP].src, UDP(sport=53, dport=udp.sport), source="203.0.113.9"),
        from_out(ping[IP].src, ICMP(type=8, id=1)),
        from_out(tcp[IP].src, TCP(sport=80, dport=tcp.sport, flags="A"), ttl=1),
        Ether(src=OUT_ROUTER, dst=OUT_MAC)
        / IP(src=SERVER, dst=udp[IP].src, flags="MF", frag=0)
        / UDP(sport=53, dport=udp.sport),
    ]
    arp = Ether(src=OUT_ROUTER, dst="ff:ff:ff:ff:ff:ff") / ARP(
        op=1, hwsrc=OUT_ROUTER, psrc="192.0.2.6", pdst=PUBLIC
    )
    both = run(program, ask, answers + refused + [arp])
    assert [bytes(packet) for _, packet in both[:4]] == [bytes(packet) for packet in packets]
    back = [packet for device, packet in both[4:] if device == 0]
    assert len(back) == len(answers), [packet.summary() for packet in back]
    targets = ["100.64.0.5", "100.64.0.5", "100.64.0.5", "100.64.0.6", "100.64.0.5"]
    for packet, target in zip(back, targets):
        assert packet[IP].dst == target, packet.summary()
        assert (packet.src, packet.dst) == (CLIENT_MAC, CLIENT_ROUTER)
        assert has_right_checksums(packet), packet.summary()
    assert back[0].dport == 5555 and back[1].dport == 5555 and back[3].dport == 5555
    assert back[2][ICMP].id == 77
    # The error quotes what the client had sent.
    quoted = IP(bytes(back[4][ICMP].payload))
    assert (quoted.src, quoted.dst, quoted[UDP].sport) == ("100.64.0.5", SERVER, 5555), quoted
    replies = [packet for device, packet in both[4:] if device == 1]
    assert len(replies) == 1 and replies[0][ARP].hwsrc == OUT_MAC, replies
    print("nat.click: 4 flows out, 5 answers back, 5 refused, ARP answered")


if __name__ == "__main__":
    main()
