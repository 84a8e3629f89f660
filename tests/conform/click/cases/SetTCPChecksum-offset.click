out :: ToDevice(out);
FromDevice(in) -> MarkIPHeader(0) -> e :: SetTCPChecksum(true) -> out;
