a :: InfiniteSource("one", LIMIT 2, END_CALL b.active true) -> ToDevice(0);
b :: InfiniteSource("two", LIMIT 1, ACTIVE false, TIMESTAMP false, BURST 1000)
-> ToDevice(0); FromDevice(0) -> Discard;
