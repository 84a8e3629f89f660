FromDevice(1) -> ToDevice(0);
FromDevice(0) -> Queue -> Shaper(10) -> Unqueue -> ToDevice(0);
