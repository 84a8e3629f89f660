out :: ToDevice(out);
FromDevice(in) -> Strip(14) -> e :: Unstrip(4) -> out;
