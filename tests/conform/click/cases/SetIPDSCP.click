out :: ToDevice(out);
FromDevice(in) -> MarkIPHeader(0) -> e :: SetIPDSCP(46) -> out;
