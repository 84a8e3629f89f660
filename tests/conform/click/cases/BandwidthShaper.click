FromDevice(1) -> ToDevice(0);
FromDevice(0) -> Queue -> BandwidthShaper(100) -> Unqueue -> ToDevice(0);
