FromDevice(0) -> e :: StrideSwitch(2, 1);
e[0] -> StoreData(0, 0) -> ToDevice(0);
e[1] -> StoreData(0, 1) -> ToDevice(0);
