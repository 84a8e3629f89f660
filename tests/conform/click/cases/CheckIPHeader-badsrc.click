from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: CheckIPHeader(BADSRC 1.1.1.1 2.2.2.2, GOODDST 3.3.3.3, VERBOSE true, DETAILS true) -> out;
e[1] -> EtherEncap(0x88b6, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
