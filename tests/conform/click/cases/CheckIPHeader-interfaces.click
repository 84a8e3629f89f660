from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: CheckIPHeader(INTERFACES 18.26.4.9/24 18.32.9.44/28) -> out;
e[1] -> EtherEncap(0x88b6, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
