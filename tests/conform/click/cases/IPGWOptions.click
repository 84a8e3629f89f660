from :: FromDevice(in);
out :: ToDevice(out);
from -> MarkIPHeader(0) -> e :: IPGWOptions(10.0.0.254, 10.0.1.254) -> out;
e[1] -> EtherEncap(0x88b6, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
