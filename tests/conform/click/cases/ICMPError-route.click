out :: ToDevice(out);
FromDevice(in) -> MarkIPHeader(0) -> e :: ICMPError(10.0.0.254, 11) -> out;
