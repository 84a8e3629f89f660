FromDevice(0) -> MarkIPHeader(0) -> [0]e; FromDevice(1) -> MarkIPHeader(0) -> [1]e;
e[0] -> ToDevice(1); e[1] -> ToDevice(0);
e :: UDPRewriter(pattern 1.0.0.1 5000-5001# - - 0 1, drop);
