FromDevice(0) -> e :: StringMatcher(xnet, "text1", test3, "\<6100>");
e[0] -> StoreData(0, 0) -> out :: Null; e[1] -> StoreData(0, 1) -> out;
out -> EtherEncap(0x88b5, 0:0:0:0:0:1, 0:0:0:0:0:2) -> ToDevice(0);
