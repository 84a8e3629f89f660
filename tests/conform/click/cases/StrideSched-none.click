e :: StrideSched(0, 1) -> RatedUnqueue(2, BURST_SIZE 1) -> ToDevice(0);
FromDevice(0) -> Queue -> [0]e; FromDevice(1) -> Queue -> [1]e;
