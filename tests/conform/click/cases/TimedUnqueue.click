FromDevice(1) -> ToDevice(0);
FromDevice(0) -> Queue -> TimedUnqueue(0.5, 2) -> ToDevice(0);
