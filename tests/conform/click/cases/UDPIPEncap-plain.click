out :: ToDevice(out);
FromDevice(in) -> e :: UDPIPEncap(1.0.0.1, 1234, 2.0.0.2, 53, false) -> out;
