from :: FromDevice(in);
out :: ToDevice(out);
from -> Strip(14) -> e :: Unstrip(4) -> out;
