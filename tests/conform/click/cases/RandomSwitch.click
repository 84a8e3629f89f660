FromDevice(0) -> e :: RandomSwitch;
e[0] -> StoreData(0, 0) -> ToDevice(0);
