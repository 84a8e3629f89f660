FromDevice(0) -> MarkIPHeader(0) -> GetIPAddress(16)
-> e :: LinearIPLookup(0.0.0.0/0 3, 10.0.0.0/24 9.9.9.9 1, 10.0.0.1/32 - 2,
10.0.0.0/255.0.0.0 8.8.8.8 0);
e[0] -> StoreData(0, 0) -> StoreIPAddress(24) -> ToDevice(0);
e[1] -> StoreData(0, 1) -> StoreIPAddress(24) -> ToDevice(0);
e[2] -> StoreData(0, 2) -> StoreIPAddress(24) -> ToDevice(0);
e[3] -> StoreData(0, 3) -> StoreIPAddress(24) -> ToDevice(0);
