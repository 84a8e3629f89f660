from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: SetIPAddress(IPADDR 1.2.3.4) -> StoreIPAddress(1) -> out;
