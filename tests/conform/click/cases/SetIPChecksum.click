from :: FromDevice(in);
out :: ToDevice(out);
from -> MarkIPHeader(0) -> e :: SetIPChecksum -> out;
