from :: FromDevice(in);
out :: ToDevice(out);
from -> MarkIPHeader(0) -> e :: IPMirror -> StoreIPAddress(20) -> out;
