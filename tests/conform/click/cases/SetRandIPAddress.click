from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: SetRandIPAddress(10.1.2.3/32) -> StoreIPAddress(1) -> out;
