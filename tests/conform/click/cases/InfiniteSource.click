InfiniteSource("data", LIMIT 5, BURST 2) -> ToDevice(0); FromDevice(0) -> Discard;
