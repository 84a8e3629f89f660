FromDevice(0) -> m :: BandwidthMeter(24kbps, 26kbps);
m[0] -> StoreData(0, 0) -> ToDevice(0);
m[1] -> StoreData(0, 1) -> ToDevice(0);
m[2] -> StoreData(0, 2) -> ToDevice(0);
