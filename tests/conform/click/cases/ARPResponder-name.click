AddressInfo(me 10.0.0.1 02:00:00:00:00:0a);
from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: ARPResponder(me) -> out;
e[1] -> EtherEncap(0x88b6, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
