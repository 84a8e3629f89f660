from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: GetIPAddress(2) -> StoreIPAddress(6) -> out;
