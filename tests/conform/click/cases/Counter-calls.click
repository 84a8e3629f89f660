FromDevice(0) -> c :: Counter(COUNT_CALL 2 s.switch 1, BYTE_COUNT_CALL 25 c.reset)
-> s :: Switch(0) -> d :: Counter(COUNT_CALL 1 stop) -> e :: StoreData(0, 0)
-> ToDevice(0);
s[1] -> Counter(COUNT_CALL 2 s.switch 0) -> StoreData(0, 1) -> ToDevice(0);
