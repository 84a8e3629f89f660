FromDevice(0) -> MarkIPHeader(0) -> e :: IPRewriter(pattern 1.0.0.1 5000-5009# - - 0 0) -> ToDevice(1);
FromDevice(1) -> MarkIPHeader(0) -> i :: ICMPRewriter(e) -> ToDevice(0);
i[1] -> StoreData(0, x) -> ToDevice(0);
