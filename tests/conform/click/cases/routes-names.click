AddressInfo(lan 10.0.0.1, net 10.0.0.0/8, gw 9.9.9.9, wan 1.0.0.1);
FromDevice(0) -> MarkIPHeader(0) -> GetIPAddress(16)
-> e :: StaticIPLookup(lan 0, net:ipnet gw 1, wan 2, 0/0 gw:ip 3);
e[0] -> StoreData(0, 0) -> StoreIPAddress(24) -> ToDevice(0);
e[1] -> StoreData(0, 1) -> StoreIPAddress(24) -> ToDevice(0);
e[2] -> StoreData(0, 2) -> StoreIPAddress(24) -> ToDevice(0);
e[3] -> StoreData(0, 3) -> StoreIPAddress(24) -> ToDevice(0);
