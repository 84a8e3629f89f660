FromDevice(0) -> e :: StrideSwitch(1, 0, 1);
e[0] -> StoreData(0, 0) -> ToDevice(0);
e[1] -> StoreData(0, 1) -> ToDevice(0);
e[2] -> StoreData(0, 2) -> ToDevice(0);
