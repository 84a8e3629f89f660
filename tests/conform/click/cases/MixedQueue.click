e :: MixedQueue(2) -> RatedUnqueue(2, BURST_SIZE 1) -> ToDevice(0);
FromDevice(0) -> [0]e;
FromDevice(1) -> [1]e;
