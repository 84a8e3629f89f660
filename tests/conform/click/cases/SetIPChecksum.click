out :: ToDevice(out);
FromDevice(in) -> MarkIPHeader(0) -> e :: SetIPChecksum -> out;
