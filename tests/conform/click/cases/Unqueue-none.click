FromDevice(1) -> ToDevice(0);
FromDevice(0) -> Queue -> Unqueue(BURST 0) -> ToDevice(0);
