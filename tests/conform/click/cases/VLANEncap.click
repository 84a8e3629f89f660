out :: ToDevice(out);
FromDevice(in) -> e :: VLANEncap(0xe123) -> out;
