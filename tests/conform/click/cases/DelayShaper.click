FromDevice(1) -> ToDevice(0);
FromDevice(0) -> Queue -> DelayShaper(0.5) -> Unqueue -> Queue
-> DelayShaper(DELAY 0.1) -> Unqueue -> ToDevice(0);
