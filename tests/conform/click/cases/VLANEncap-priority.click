from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: VLANEncap(0x4123, 1) -> out;
