FromDevice(0) -> e :: RandomSample(0, ACTIVE false);
e[0] -> StoreData(0, 0) -> ToDevice(0);
