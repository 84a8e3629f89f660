out :: ToDevice(out);
FromDevice(in) -> MarkIPHeader(0) -> e :: IPMirror(false) -> StoreIPAddress(20) -> out;
