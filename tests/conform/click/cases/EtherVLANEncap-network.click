from :: FromDevice(in);
out :: ToDevice(out);
from -> EtherVLANEncap(0x0800, 02:00:00:00:00:0b, 02:00:00:00:00:0a, 5) -> e :: IPClassifier(udp, -);
e[0] -> EtherEncap(0x88b5, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
e[1] -> EtherEncap(0x88b6, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
