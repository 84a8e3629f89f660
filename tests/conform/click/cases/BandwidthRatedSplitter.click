FromDevice(0) -> s :: BandwidthRatedSplitter(8kbps, BURST_BYTES 100);
s[0] -> StoreData(0, 0) -> ToDevice(0);
s[1] -> StoreData(0, 1) -> ToDevice(0);
