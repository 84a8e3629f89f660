FromDevice(0) -> e :: StrideSwitch(0);
e[0] -> StoreData(0, 0) -> ToDevice(0);
