from :: FromDevice(in, 1, 1514, FORCE_IP true);
out :: ToDevice(out);
from -> IPFilter(allow udp) -> StoreIPAddress(0) -> out;
from[1] -> EtherEncap(0x88b6, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
