out :: ToDevice(out);
FromDevice(in) -> e :: Strip(14) -> out;
