from :: FromDevice(in);
out :: ToDevice(out);
from -> MarkIPHeader(0) -> e :: SetIPDSCP(46) -> out;
