from :: FromDevice(in);
out :: ToDevice(out);
from -> HostEtherFilter(02:00:00:00:00:0a, DROP_OTHER false) -> Strip(14) -> MarkIPHeader(0) -> e :: ICMPError(10.0.0.254, 3, 1) -> out;
