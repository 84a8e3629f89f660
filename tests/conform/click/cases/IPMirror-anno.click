from :: FromDevice(in);
out :: ToDevice(out);
from -> MarkIPHeader(0) -> e :: IPMirror(false) -> StoreIPAddress(20) -> out;
