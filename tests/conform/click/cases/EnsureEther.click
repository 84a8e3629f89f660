from :: FromDevice(in);
out :: ToDevice(out);
from -> MarkMACHeader -> MarkIPHeader(14) -> e :: EnsureEther(0x0806, 02:00:00:00:00:0c, 02:00:00:00:00:0a) -> out;
