out :: ToDevice(out);
FromDevice(in) -> e :: IPEncap(ipip, 1.0.0.1, 2.0.0.2) -> out;
