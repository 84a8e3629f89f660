out :: ToDevice(out);
FromDevice(in) -> MarkIPHeader(14) -> e :: StripIPHeader -> out;
