from :: FromDevice(in);
out :: ToDevice(out);
from -> MarkIPHeader(0) -> e :: GetIPAddress(IP src) -> StoreIPAddress(28) -> out;
