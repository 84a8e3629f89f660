AddressInfo(INTERNALNET 192.168.0.0/16, BASTION 192.168.1.2);
from :: FromDevice(in);
out :: ToDevice(out);
from -> CheckIPHeader -> e :: IPFilter(deny src INTERNALNET, 1 dst BASTION && dst port www, allow dst port telnet, drop all);
e[0] -> EtherEncap(0x88b5, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
e[1] -> EtherEncap(0x88b6, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
