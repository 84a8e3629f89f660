from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: VLANEncap(0xe123) -> out;
