FromDevice(0) -> e :: Suppressor; Idle -> [1]e;
e[0] -> StoreData(0, 0) -> ToDevice(0);
e[1] -> StoreData(0, 1) -> ToDevice(0);FromDevice(1) -> Counter(COUNT_CALL 1 e.active0 false) -> Discard;
