from :: FromDevice(in);
out :: ToDevice(out);
from -> MarkIPHeader -> e :: IPFilter(0 dst port != 80, 1 not dst port 80);
e[0] -> EtherEncap(0x88b5, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
e[1] -> EtherEncap(0x88b6, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
