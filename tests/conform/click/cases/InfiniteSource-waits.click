FromDevice(1) -> ToDevice(0);
InfiniteSource(DATA \<61 62>, LIMIT 5) -> q :: Queue(2)
-> RatedUnqueue(2, BURST_SIZE 1) -> ToDevice(0); FromDevice(0) -> Discard;
