from :: FromDevice(in);
out :: ToDevice(out);
from -> MarkMACHeader(2, 14) -> e :: IPClassifier(udp, -);
e[0] -> EtherEncap(0x88b5, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
e[1] -> EtherEncap(0x88b6, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
