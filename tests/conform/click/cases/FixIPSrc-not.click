from :: FromDevice(in);
out :: ToDevice(out);
from -> Strip(14) -> MarkIPHeader(0) -> e :: ICMPError(10.0.0.254, 11, USE_FIX_ANNO false) -> FixIPSrc(10.0.7.7) -> out;
