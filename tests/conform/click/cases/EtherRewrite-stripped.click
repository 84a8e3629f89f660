from :: FromDevice(in);
out :: ToDevice(out);
from -> MarkMACHeader -> Strip(14) -> e :: EtherRewrite(SRC 02:00:00:00:00:0c, DST 02:00:00:00:00:0a) -> Unstrip(14) -> out;
