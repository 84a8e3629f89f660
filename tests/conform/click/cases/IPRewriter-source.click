FromDevice(0) -> MarkIPHeader(0) -> [0]e; FromDevice(1) -> MarkIPHeader(0) -> [1]e;
e[0] -> ToDevice(1); e[1] -> ToDevice(0);
e :: IPRewriter(pattern 1.0.0.1 1024-65535 - - 0 1, pattern - - 10.0.0.9 8080 1 0);
