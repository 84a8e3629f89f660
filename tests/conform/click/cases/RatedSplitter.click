FromDevice(0) -> s :: RatedSplitter(10, BURST_SIZE 2);
s[0] -> StoreData(0, 0) -> ToDevice(0);
s[1] -> StoreData(0, 1) -> ToDevice(0);
