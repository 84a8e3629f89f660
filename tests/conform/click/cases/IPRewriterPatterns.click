IPRewriterPatterns(both 1.0.0.1 5000-5001# - -);
FromDevice(0) -> MarkIPHeader(0) -> [0]e; FromDevice(1) -> MarkIPHeader(0) -> [1]e;
e[0] -> ToDevice(1); e[1] -> ToDevice(0);
e :: IPRewriter(pattern both 0 1, pattern both 1 0);
