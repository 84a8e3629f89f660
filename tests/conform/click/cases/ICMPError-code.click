from :: FromDevice(in);
out :: ToDevice(out);
from -> Strip(14) -> MarkIPHeader(0) -> e :: ICMPError(10.0.0.254, unreachable, filterprohibited, MTU 68) -> out;
