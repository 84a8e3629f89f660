from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: Pad(4) -> out;
