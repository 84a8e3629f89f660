FromDevice(0) -> MarkIPHeader(0) -> e :: StringMatcher(AB, PAYLOAD_ONLY true);
e[0] -> StoreData(0, 0) -> ToDevice(0);
e[1] -> StoreData(0, 1) -> ToDevice(0);
