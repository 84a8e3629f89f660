out :: ToDevice(out);
FromDevice(in) -> MarkIPHeader(0) -> e :: IPMirror -> StoreIPAddress(20) -> out;
