out :: ToDevice(out);
FromDevice(in) -> MarkIPHeader(0) -> e :: GetIPAddress(IP src) -> StoreIPAddress(28) -> out;
