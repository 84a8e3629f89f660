FromDevice(0) -> MarkIPHeader(0) -> e :: IPRewriter(pattern - - 10.0.0.9 8080 0 0) -> ToDevice(1);
FromDevice(1) -> MarkIPHeader(0) -> ICMPRewriter(e) -> ToDevice(0);
