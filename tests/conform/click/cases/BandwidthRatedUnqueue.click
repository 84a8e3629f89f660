FromDevice(1) -> ToDevice(0);
FromDevice(0) -> Queue -> BandwidthRatedUnqueue(100, BURST_BYTES 1) -> ToDevice(0);
