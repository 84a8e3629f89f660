from :: FromDevice(in);
out :: ToDevice(out);
from -> MarkMACHeader -> MarkIPHeader(14) -> e :: IPFilter(allow src 02:00:00:00:00:0b or 0:1:2:3:4:5, 1 host & 255.255.0.0 == 192.168.7.7, allow dst ether host & ff:ff:0:0:0:0 != 02:00:00:00:00:0a);
e[0] -> EtherEncap(0x88b5, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
e[1] -> EtherEncap(0x88b6, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
