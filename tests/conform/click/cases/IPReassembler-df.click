from :: FromDevice(in);
out :: ToDevice(out);
from -> MarkIPHeader(0) -> e :: IPReassembler -> out;
e[1] -> EtherEncap(0x88b6, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
