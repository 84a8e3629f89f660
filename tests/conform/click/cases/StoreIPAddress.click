from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: StoreIPAddress(9.8.7.6, 1) -> out;
e[1] -> EtherEncap(0x88b6, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
