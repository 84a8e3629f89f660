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


def run(program, from_client, from_out, *changes):
    """What leaves: [(device, packet)]. A packet is one, or (packet, time). CHANGES of the
    configuration: pairs (old, new)."""
    with tempfile.TemporaryDirectory() as directory:
        folder = pathlib.Path(directory)
        text = CONFIG.read_text()
        for old, new in (("1024-65535", "1024-65535#"), *changes):
            assert old in text, old
            text = text.replace(old, new)
        (folder / "nat.click").write_text(text)
        for name, packets, base in (("c", from_client, 1), ("o", from_out, 2)):
            timed = [p if isinstance(p, tuple) else (p, base + number / 1000)
                     for number, p in enumerate(packets)]
            frames = [Ether(bytes(p)) for p, _ in timed]
            for frame, (_, time) in zip(frames, timed):
                frame.time = time
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


def error_about(packet, kind, code=0, more=8):
    """What somebody says of a packet."""
    inner = bytes(packet[IP])[: 20 + more]
    return ICMP(type=kind, code=code) / inner


def test_links(program):
    """What is not for here, or for no one, does not leave; what a client's router says does."""
    syn = TCP(sport=5555, dport=80, flags="S")
    udp = UDP(sport=5555, dport=53) / Raw(b"question")
    wrong = [from_client(syn) for _ in range(3)]
    for frame, mac in zip(wrong, ("ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:fb", "02:00:00:00:01:77")):
        frame.dst = mac
    for target in ("224.0.0.251", "255.255.255.255", "127.0.0.1", PUBLIC, "100.64.0.1",
                   "100.100.0.1"):
        wrong.append(from_client(udp))
        wrong[-1][IP].dst = target
    wrong += [from_client(syn, source="10.0.0.1"), from_client(syn, source=PUBLIC)]
    wrong = [Ether(bytes(frame)) for frame in wrong]
    assert run(program, wrong, []) == []

    sent = run(program, [from_client(udp)], [])[0][1]
    answer = from_out(sent[IP].src, UDP(sport=53, dport=sent.sport) / Raw(b"answer"))
    others = [answer.copy(), answer.copy()]
    others[0].dst, others[1].dst = "ff:ff:ff:ff:ff:ff", "02:00:00:00:02:77"
    # To a client's own address, which a neighbour may send here; and as if from a client, or us.
    others += [from_out("100.64.0.5", error_about(sent, 3, 3)),
               from_out(PUBLIC, error_about(sent, 3, 3), source="100.64.0.9"),
               from_out(PUBLIC, error_about(sent, 3, 3), source=PUBLIC)]
    both = run(program, [from_client(udp)], [Ether(bytes(f)) for f in others] + [answer])
    assert [device for device, _ in both] == [1, 0] and bytes(both[1][1]).endswith(b"answer"), both

    # A router on the way to the client has an address that is not known outside; and nobody's
    # mapping is told to others.
    received = both[1][1]
    late = [(from_client(udp), 1)]
    for source in ("100.64.0.5", "100.64.9.9"):
        late.append((from_client(error_about(received, 11), source=source), 3))
    late.append((from_client(error_about(received, 12)), 3))
    probe = from_client(error_about(sent, 3, 3), source="100.64.0.66")
    probe[IP].dst = PUBLIC
    late.append((Ether(bytes(probe)), 3))
    sent = [packet for device, packet in run(program, late, []) if device == 1]
    assert [packet[IP].proto for packet in sent] == [17, 1, 1, 1], sent
    for packet in sent[1:]:
        assert packet[IP].src == PUBLIC and packet[IP].dst == SERVER, packet.summary()
        assert has_right_checksums(packet), packet.summary()
        quoted = IP(bytes(packet[ICMP].payload))
        assert (quoted.src, quoted.dst) == (SERVER, PUBLIC), quoted.summary()
        assert bytes([100, 64]) not in bytes(packet[IP]), packet.summary()


def test_last_hop(program):
    """Who asks for the way is told of this hop."""
    back = run(program, [from_client(UDP(sport=5555, dport=33434), ttl=1),
                         from_client(error_about(from_client(UDP()), 3), ttl=1)], [])
    assert [device for device, _ in back] == [0], back
    error = back[0][1]
    assert (error[IP].src, error[IP].dst, error[ICMP].type) == ("100.64.0.1", "100.64.0.5", 11)
    assert (error.src, error.dst) == (CLIENT_MAC, CLIENT_ROUTER)
    assert has_right_checksums(error)
    quoted = IP(bytes(error[ICMP].payload))
    assert (quoted.src, quoted[UDP].dport) == ("100.64.0.5", 33434), quoted.summary()


def test_flood(program):
    """In a full table an established connection stays, whatever begins meanwhile."""
    def of_connection(flags, data=b""):
        return from_client(TCP(sport=5555, dport=80, flags=flags) / Raw(data))

    opened = [(of_connection("S"), 1), (of_connection("A"), 1.2),
              (of_connection("PA", b"ask"), 1.3)]
    port = run(program, opened[:1], [])[0][1].sport
    flood = [(from_client(UDP(sport=1 + i, dport=53)), 20 + i / 10000) for i in range(1000)]
    said = ("SA", b"", 1.1), ("PA", b"answer", 1.4), ("PA", b"late", 21)
    back = [(from_out(PUBLIC, TCP(sport=80, dport=port, flags=flags) / Raw(data)), time)
            for flags, data, time in said]
    left = run(program, opened + flood, back, ("MAPPING_CAPACITY 50000", "MAPPING_CAPACITY 500"))
    answers = [bytes(packet[TCP].payload) for device, packet in left if device == 0]
    assert answers == [b"", b"answer", b"late"], answers
    # All of the flood has left.
    assert len(left) == 3 + 1000 + 3, len(left)


def main():
    program = sys.argv[1]
    test_links(program)
    test_last_hop(program)
    test_flood(program)
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
