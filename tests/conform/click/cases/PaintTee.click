FromDevice(0) -> Paint(7) -> e :: PaintTee(7);
e[0] -> StoreData(0, 0) -> ToDevice(0);
e[1] -> StoreData(0, 1) -> ToDevice(0);
