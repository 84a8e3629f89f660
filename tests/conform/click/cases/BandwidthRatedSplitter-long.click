FromDevice(0) -> BandwidthRatedSplitter(8kbps) -> ToDevice(0);
