FromDevice(1) -> ToDevice(0);
FromDevice(0) -> ToHost;
