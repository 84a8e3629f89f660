from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: ARPResponder(02:00:00:00:00:0a 10.0.0.1 10.1.0.0/16) -> out;
e[1] -> EtherEncap(0x88b6, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
