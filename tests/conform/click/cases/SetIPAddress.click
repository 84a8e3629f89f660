out :: ToDevice(out);
FromDevice(in) -> e :: SetIPAddress(1.2.3.4) -> StoreIPAddress(1) -> out;
