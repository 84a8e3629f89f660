from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: StoreIPAddress(0) -> StoreIPAddress(0.0.0.0, 4) -> out;
e[1] -> EtherEncap(0x88b6, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
