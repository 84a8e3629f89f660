from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: EtherVLANEncap(0x0800, 02:00:00:00:00:0b, 02:00:00:00:00:0a, 5, 3) -> out;
