FromDevice(0) -> Paint(1) -> Paint(2) -> e :: PaintSwitch;
e[0] -> StoreData(0, 0) -> ToDevice(0);
e[1] -> StoreData(0, 1) -> ToDevice(0);
e[2] -> StoreData(0, 2) -> ToDevice(0);
