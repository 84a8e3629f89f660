from :: FromDevice(in);
out :: ToDevice(out);
from -> Paint(7, 16) -> e :: CheckPaint(7) -> out;
e[1] -> EtherEncap(0x88b6, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
