from :: FromDevice(in, 1, 1514, FORCE_IP true);
out :: ToDevice(out);
from -> IPFilter(allow udp) -> StoreIPAddress(0) -> out;
