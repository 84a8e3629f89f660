FromDevice(0) -> m :: Meter(100, 300, 400);
m[0] -> StoreData(0, 0) -> ToDevice(0);
m[1] -> StoreData(0, 1) -> ToDevice(0);
m[2] -> StoreData(0, 2) -> ToDevice(0);
m[3] -> StoreData(0, 3) -> ToDevice(0);
