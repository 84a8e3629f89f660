e :: PrioSched -> RatedUnqueue(2, BURST_SIZE 1) -> ToDevice(0);
FromDevice(0) -> Queue -> r :: RED(1, 1, 1, STABILITY 0, QUEUES b) -> [0]e;
r[1] -> ToDevice(0); FromDevice(1) -> Queue -> [1]e;
InfiniteSource(LIMIT 4) -> b :: Queue -> PullSwitch(-1) -> Discard;
