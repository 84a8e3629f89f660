from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: Strip(14) -> EtherEncap(0x88b5, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
