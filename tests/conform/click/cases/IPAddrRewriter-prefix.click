FromDevice(0) -> MarkIPHeader(0) -> [0]e; FromDevice(1) -> MarkIPHeader(0) -> [1]e;
e[0] -> ToDevice(1); e[1] -> ToDevice(0);
e :: IPAddrRewriter(pattern 1.0.0.0/30# - 0 1, drop);
