AddressInfo(lan 10.0.0.1, net 10.0.0.0/8, gw 9.9.9.9, wan 1.0.0.1);
IPRewriterPatterns(out wan 5000-5009# - -);
FromDevice(0) -> MarkIPHeader(0) -> [0]e; FromDevice(1) -> MarkIPHeader(0) -> [1]e;
e[0] -> ToDevice(1); e[1] -> ToDevice(0);
e :: IPRewriter(pattern out 0 1, pattern - - lan 80 1 0);
