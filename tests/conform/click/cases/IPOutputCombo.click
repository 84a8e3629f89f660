from :: FromDevice(in);
out :: ToDevice(out);
from -> HostEtherFilter(02:00:00:00:00:0a, false, false) -> Strip(14) -> MarkIPHeader(0) -> e :: IPOutputCombo(7, 10.0.0.254, 60);
e[0] -> EtherEncap(0x88b5, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
e[1] -> EtherEncap(0x88b6, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
e[2] -> EtherEncap(0x88b7, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
e[3] -> EtherEncap(0x88b8, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
e[4] -> EtherEncap(0x88b9, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
