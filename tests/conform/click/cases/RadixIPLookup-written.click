FromDevice(0) -> MarkIPHeader(0) -> GetIPAddress(16)
-> e :: RadixIPLookup(10.0.0.0/24 0, 10.0.0.1/32 1);
e[0] -> StoreData(0, 0) -> ToDevice(0);
e[1] -> StoreData(0, 1) -> ToDevice(0);
Script(write e.remove 10.0.0.1/32, write e.add 11/8 1.1.1.1 1,
write e.set 10.0/16 1);
