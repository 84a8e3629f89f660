from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: EtherEncap(0x0800, 02:00:00:00:00:0a, 02:00:00:00:00:0b) -> out;
