from :: FromDevice(in);
out :: ToDevice(out);
from -> MarkIPHeader(0) -> e :: StoreIPAddress(172.16.5.5, dst) -> out;
e[1] -> EtherEncap(0x88b6, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
