from :: FromDevice(in);
out :: ToDevice(out);
from -> MarkIPHeader(14) -> Strip(20) -> e :: StripToNetworkHeader -> out;
