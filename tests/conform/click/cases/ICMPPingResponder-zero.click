from :: FromDevice(in);
out :: ToDevice(out);
from -> Strip(14) -> MarkIPHeader(0) -> e :: ICMPPingResponder -> out;
e[1] -> EtherEncap(0x88b6, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
