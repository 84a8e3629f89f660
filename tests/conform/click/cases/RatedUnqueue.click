FromDevice(1) -> ToDevice(0);
FromDevice(0) -> Queue -> RatedUnqueue(10, BURST_SIZE 1) -> ToDevice(0);
