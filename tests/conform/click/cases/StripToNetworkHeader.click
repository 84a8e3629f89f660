from :: FromDevice(in);
out :: ToDevice(out);
from -> MarkIPHeader(14) -> e :: StripToNetworkHeader -> out;
