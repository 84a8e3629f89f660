from :: FromDevice(in);
out :: ToDevice(out);
from -> MarkIPHeader(0) -> e :: SetTCPChecksum(true) -> out;
