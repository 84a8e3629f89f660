from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: CheckIPHeader(1.1.1.1, 2) -> out;
e[1] -> EtherEncap(0x88b6, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
