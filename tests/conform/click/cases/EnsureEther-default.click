from :: FromDevice(in);
out :: ToDevice(out);
from -> MarkIPHeader(3) -> e :: EnsureEther -> out;
