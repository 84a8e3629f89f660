from :: FromDevice(in);
out :: ToDevice(out);
from -> SetIPAddress(2.0.0.0, EXTRA_LENGTH) -> e :: Pad -> Pad -> out;
