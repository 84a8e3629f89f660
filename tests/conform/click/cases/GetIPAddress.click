out :: ToDevice(out);
FromDevice(in) -> e :: GetIPAddress(2) -> StoreIPAddress(6) -> out;
